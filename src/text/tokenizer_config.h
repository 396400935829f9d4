#pragma once

#include <filesystem>

#include "text/tokenizer.h"

namespace skua {

/** The added tokens that tokenizer_config.json of `folder` lists
 *  (`added_tokens_decoder`), for tokenizers whose own file has none. Throws as
 *  below. */
std::vector<AddedToken> read_config_tokens(const std::filesystem::path& folder);

/** Takes what special_tokens_map.json and, before it, tokenizer_config.json
 *  of `folder` say about special tokens, where they exist. With
 *  `flags_count` add_bos_token and add_eos_token replace what stands around a
 *  text, else for those classes alone that do so. Throws Error, InvalidInput
 *  naming file and field. */
void read_tokenizer_config(const std::filesystem::path& folder,
                           bool flags_count, TokenizerParts& parts);

}  // namespace skua
