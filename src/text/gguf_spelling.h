#pragma once

#include <string>
#include <string_view>

namespace skua {

/** BERT's own spelling of a token of a GGUF file, which marks the first token
 *  of a word by U+2581, where BERT marks the others by "##". Tokens in
 *  brackets are the same in both. */
std::string spell_as_bert(std::string_view token);

/** The bytes of a token of RWKV, which the file writes as Python does, e.g.
 *  `\xe4\n`. */
std::string unescape_rwkv(std::string_view token);

}  // namespace skua
