#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/trie.h"

namespace skua {

/** A token that is found in the text before the model sees it. */
struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the white space on its left
  bool rstrip = false;
  bool normalized = false;  // looked for in the normalized text
  bool special = false;
};

/** The added tokens of a tokenizer and the search for them.
 *  Source: huggingface/tokenizers, tokenizer/added_vocabulary.rs. */
class AddedVocabulary {
 public:
  AddedVocabulary() = default;
  /** Throws InvalidInput where an id has two contents or a content is
   *  longer than 1024 bytes. Empty contents are left out. */
  AddedVocabulary(std::vector<AddedToken> tokens, const Normalizer& normalizer,
                  const std::string& where);

  /** By id; by content. Null where there is none. */
  const AddedToken* by_id(std::int32_t id) const;
  const AddedToken* find(std::string_view content) const;
  /** The spelling that decoders see. */
  const std::string& decoded(const AddedToken& token) const;
  std::int32_t max_id() const;

  /** Cuts `text` at added tokens and normalizes what lies between them.
   *  Special tokens stay text unless `parse_special`. */
  Document split(std::string_view text, const Normalizer& normalizer,
                 bool parse_special, bool tracked) const;

 private:
  void cut(AlignedText text, bool starts_text, const Trie& trie,
           bool parse_special, Document& out) const;

  std::vector<AddedToken> tokens_;
  std::vector<std::string> decoded_;
  std::map<std::int32_t, std::size_t> by_id_;
  std::map<std::string, std::size_t, std::less<>> by_content_;
  Trie raw_, normalized_;
};

}  // namespace skua
