#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/hub.h"

namespace skua {

/** The file name of the model that runs when none is named. */
inline constexpr const char* kDefaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf";

/** Skua's own model folder: ${SKUA_HOME:-${XDG_CACHE_HOME:-~/.cache}/skua}
 *  with /models. */
std::filesystem::path model_folder();

/** The directory or .gguf file that a model's name stands for, in this order:
 *  an existing directory or .gguf file; a hub name `org/name[:file][@rev]`,
 *  from the cache without network where it is whole, else pulled; a file or
 *  directory in model_folder(), with or without ".gguf". An empty name means
 *  $SKUA_MODEL, else kDefaultModel. Throws NotFound, InvalidInput (each names
 *  what was looked for and the remedy), and what pull throws. */
std::filesystem::path resolve_model(const std::string& name,
                                    const PullOptions& options = {});

/** A model on this machine. */
struct CachedModel {
  std::string name;      // what --model takes
  std::string revision;  // commit; empty in Skua's own folder
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point modified;  // of the newest file
  bool complete = true;  // false: a pull has yet to finish it
};

/** Models in the hub cache and in model_folder(), sorted by name. Unreadable
 *  folders count as empty. */
std::vector<CachedModel> cached_models();

}  // namespace skua
