#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "text/bpe.h"
#include "text/token_model.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace skua {

struct SplitModelOptions {
  bool words = false;  // that begin at each U+2581; else characters
  std::optional<std::int32_t> unk;
  bool byte_fallback = false;  // `<0xNN>` tokens instead of unk
  /** Tokens that no text gives; empty: none. */
  std::vector<bool> unused;
  /** Tokens of several characters that are not cut into characters. */
  std::vector<std::int32_t> fixed;
};

/** SentencePiece's models of words and of characters: a text is cut, and each
 *  part is a token or unk, a run of them one.
 *  Source: google/sentencepiece, word_model.cc, char_model.cc. */
class SplitModel : public TokenModel {
 public:
  SplitModel(std::shared_ptr<const Vocabulary> vocabulary,
             SplitModelOptions options);
  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  std::size_t part_end(std::string_view piece, std::size_t begin) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  SplitModelOptions options_;
  ByteTokens byte_tokens_;
  Trie fixed_;
};

}  // namespace skua
