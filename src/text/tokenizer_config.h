#pragma once

#include <filesystem>

#include "text/tokenizer.h"

namespace skua {

/** Takes what special_tokens_map.json and, before it, tokenizer_config.json
 *  of `folder` say about special tokens, where they exist. Throws Error,
 *  InvalidInput naming file and field. */
void read_tokenizer_config(const std::filesystem::path& folder,
                           TokenizerParts& parts);

}  // namespace skua
