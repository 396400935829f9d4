#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "text/bpe.h"
#include "text/token_model.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace skua {

struct UnigramOptions {
  std::optional<std::int32_t> unk;
  bool byte_fallback = false;  // `<0xNN>` tokens instead of unk
  /** Sums of 32 bits as in google/sentencepiece, not 64 as in
   *  huggingface/tokenizers; their ties differ. */
  bool float_sums = false;
  /** Tokens that no text gives; empty: none. */
  std::vector<bool> unused;
  /** Tokens that win over all others. */
  std::vector<std::int32_t> fixed;
};

/** The tokens with the highest sum of scores (log-probabilities). Characters
 *  that no token covers are unk, a run of them one. Time is linear in the
 *  piece times the longest token.
 *  Source: huggingface/tokenizers, models/unigram/model.rs. */
class Unigram : public TokenModel {
 public:
  Unigram(std::shared_ptr<const Vocabulary> vocabulary,
          std::vector<double> scores, UnigramOptions options);

  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  template <typename Score>
  std::vector<Token> best_path(std::string_view piece) const;
  void push(std::string_view piece, Token token,
            std::vector<Token>& tokens) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<double> scores_;
  UnigramOptions options_;
  double unk_score_ = 0;
  ByteTokens byte_tokens_;
  Trie trie_;
};

}  // namespace skua
