#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/support.h"

namespace skua::test {

/** A folder with the stories260K checkpoint (a Llama of 5 layers with a
 *  tokenizer, context 512) whose answers end at `eos_id`; null where the
 *  asset is absent. */
inline std::unique_ptr<TempDir> stories_folder(int eos_id = 2) {
  const auto source = asset("lm/stories260K/hf");
  if (source.empty()) return nullptr;
  auto folder = std::make_unique<TempDir>();
  for (const auto& entry : std::filesystem::directory_iterator(source)) {
    std::filesystem::create_symlink(std::filesystem::absolute(entry.path()),
                                    folder->path() / entry.path().filename());
  }
  write_text(folder->path() / "generation_config.json",
             "{\"eos_token_id\": " + std::to_string(eos_id) + "}");
  return folder;
}

}  // namespace skua::test
