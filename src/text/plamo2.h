#pragma once

#include <memory>
#include <vector>

#include "text/bpe.h"
#include "text/token_model.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace skua {

/** PLaMo 2's unigram model: the tokens with the highest sum of scores in steps
 *  of 1e-4, found from the end of the text, a longer token first where sums are
 *  equal; a character that is cheaper in bytes is `<0xNN>` tokens. A byte order
 *  mark in front is left out. Time is linear in the piece times the longest
 *  token. Source: pfnet/plamo-2-1b, tokenization_plamo.py. */
class Plamo2 : public TokenModel {
 public:
  /** unused  tokens that no text gives. Throws InvalidInput naming `where`
   *          unless each byte has a token. */
  Plamo2(std::shared_ptr<const Vocabulary> vocabulary,
         const std::vector<float>& scores, const std::vector<bool>& unused,
         const std::string& where);
  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  std::vector<std::int64_t> costs_;  // by id
  ByteTokens byte_tokens_;
  Trie trie_;
};

}  // namespace skua
