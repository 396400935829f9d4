#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "text/flat_map.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace skua {

/** Ids of the tokens `<0x00>` to `<0xFF>`, -1 where there is none. */
using ByteTokens = std::array<std::int32_t, 256>;
ByteTokens find_byte_tokens(const Vocabulary& vocabulary);

struct BpeOptions {
  std::optional<std::int32_t> unk;  // for characters outside the vocabulary
  bool fuse_unk = false;            // one unk for a run of them
  bool byte_fallback = false;       // `<0xNN>` tokens before unk
  bool ignore_merges = false;       // a piece that is a token stays whole
  std::string prefix;               // of every symbol but the first of a piece
  std::string suffix;               // of the last symbol of a piece
};

/** Byte-pair encoding: joins the neighbours whose merge has the lowest rank,
 *  the leftmost first, until none is left. O(n log n) in the piece.
 *  Source: huggingface/tokenizers, models/bpe. */
class Bpe : public TokenModel {
 public:
  Bpe(std::shared_ptr<const Vocabulary> vocabulary, BpeOptions options,
      std::size_t n_merges);

  /** Adds the merge of the next rank; a repeated pair takes the later rank.
   *  Throws InvalidInput, with `where`, if a token of it is unknown. */
  void add_merge(std::string_view left, std::string_view right,
                 const std::string& where);

  void encode(std::string_view piece,
              std::vector<std::int32_t>& ids) const override;

 private:
  std::vector<std::int32_t> symbols_of(std::string_view piece) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  BpeOptions options_;
  ByteTokens byte_tokens_;
  FlatMap merges_;  // left << 32 | right -> rank << 32 | merged
  std::uint64_t n_merges_ = 0;
};

/** SentencePiece's BPE: joins the neighbours whose text together is the token
 *  with the highest score, the leftmost first; then byte tokens, then unk,
 *  for what is no token. O(n log n) in the piece.
 *  Source: google/sentencepiece, bpe_model.cc; ggml's llama vocabulary. */
class ScoredBpe : public TokenModel {
 public:
  /** `scores[id]` orders merges; tokens with `!mergeable[id]` never result
   *  from one. */
  ScoredBpe(std::shared_ptr<const Vocabulary> vocabulary,
            std::vector<float> scores, std::vector<bool> mergeable,
            std::optional<std::int32_t> unk);

  void encode(std::string_view piece,
              std::vector<std::int32_t>& ids) const override;

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<float> scores_;
  std::vector<bool> mergeable_;
  std::optional<std::int32_t> unk_;
  ByteTokens byte_tokens_;
};

}  // namespace skua
