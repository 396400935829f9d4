#pragma once

#include <string_view>
#include <vector>

namespace skua {

/** What a `tokenizer.ggml.pre` name means. */
struct PreKind {
  std::vector<std::string_view> patterns;  // each splits what the last left
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
  bool nfc = false;
  bool add_sep = false;       // a separator behind the text, likewise
  bool marks_spaces = false;  // U+2581 for spaces, before all else
  bool byte_level = true;     // false: pieces of the vocabulary are UTF-8
};

/** Null for a name that is not known. Source: the tokenizer.json files of
 *  the models, by the names of ggml-org/llama.cpp, src/llama-vocab.cpp. */
const PreKind* find_pre_kind(std::string_view name);

}  // namespace skua
