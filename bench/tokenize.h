#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"

namespace skua::bench {

/** Calls emit with the milliseconds that loading the tokenizer in `path` (a
 *  folder, a file of one or a .gguf file) takes, and encoding and decoding
 *  the text in the file `text`: that text, then as many bytes of one
 *  character, of spaces, of emoji and of digits. */
void run_tokenizer_tests(const std::filesystem::path& path,
                         const std::filesystem::path& text,
                         const std::function<void(const Json&)>& emit);

/** Calls emit for each tokenizer with the milliseconds for runs of one thing,
 *  first of 256 KB and then of 1 MB, and with how many times as long the second
 *  took: 4 where time is linear. */
void run_tokenizer_runs(const std::vector<std::string>& paths,
                        const std::function<void(const Json&)>& emit);

}  // namespace skua::bench
