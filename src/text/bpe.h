#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/char_pairs.h"
#include "text/flat_map.h"
#include "text/token_model.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace skua {

/** Ids of the tokens `<0x00>` to `<0xFF>`, -1 where there is none. */
using ByteTokens = std::array<std::int32_t, 256>;
ByteTokens find_byte_tokens(const Vocabulary& vocabulary);
/** Finds the pieces of these tokens in a text. */
Trie find_pieces(const Vocabulary& vocabulary,
                 const std::vector<std::int32_t>& ids);

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

  /** Adds the merges of the next ranks; a repeated pair takes the later rank.
   *  Throws InvalidInput, with `where`, if a token of one is unknown. Several
   *  at once take less time. */
  struct MergeText {
    std::string_view left, right;
  };
  void add_merges(std::span<const MergeText> merges, const std::string& where);

  /** Pieces are then bytes instead of GPT-2's characters for them: the same
   *  tokens at less cost. False where the options do not allow that. */
  bool take_bytes();

  /** Long pieces are then cut where no token reaches over: the same tokens
   *  at less cost. For after the last merge. */
  void cut_long_pieces();

  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  struct Symbol;
  static std::uint64_t merge_key(std::int32_t left, std::int32_t right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 |
           static_cast<std::uint32_t>(right);
  }
  struct Merged {
    std::uint64_t key, value;  // as in merges_
  };
  Merged merged(const MergeText& merge, const std::string& where);
  bool is_joined(std::int32_t id, std::string_view left,
                 std::string_view right) const;
  void encode_part(std::string_view part, std::uint32_t begin,
                   std::vector<Token>& tokens) const;
  void push_symbols(std::string_view piece, std::vector<Symbol>& out) const;
  void push_byte_symbols(std::string_view piece,
                         std::vector<Symbol>& out) const;
  void merge_few(std::vector<Symbol>& symbols) const;
  void merge_many(std::vector<Symbol>& symbols) const;
  const std::uint64_t* find_merge(std::int32_t left, std::int32_t right) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  BpeOptions options_;
  ByteTokens byte_tokens_;
  bool takes_bytes_ = false;
  ByteTokens byte_symbols_{};  // ids of GPT-2's characters for bytes
  FlatMap merges_;             // left << 32 | right -> rank << 32 | merged
  std::uint64_t n_merges_ = 0;
  std::int32_t last_merged_ = -1;
  bool merges_bytes_ = false;  // byte tokens or unk are in merges
  CharPairs pairs_;
};

struct ScoredBpeOptions {
  std::optional<std::int32_t> unk;
  bool byte_fallback = true;  // `<0xNN>` tokens before unk
  bool fuse_unk = false;      // one unk for a run of them
  bool whole_pieces = false;  // a piece that is a token stays whole
  /** Tokens that never result from a merge; empty: none. */
  std::vector<bool> unmergeable;
  /** Tokens that are found before all merging and stay. */
  std::vector<std::int32_t> fixed;
};

/** Byte-pair encoding by scores: joins the neighbours whose text together is
 *  the token with the highest score, the leftmost first; then byte tokens,
 *  then unk, for what is no token. O(n log n) in the piece.
 *  Source: google/sentencepiece, bpe_model.cc; ggml's llama vocabulary;
 *  openai/tiktoken, where the score is the rank below zero. */
class ScoredBpe : public TokenModel {
 public:
  /** `scores[id]` orders merges. */
  ScoredBpe(std::shared_ptr<const Vocabulary> vocabulary,
            std::vector<float> scores, ScoredBpeOptions options);

  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  struct Symbol;
  void encode_part(std::string_view part, std::uint32_t begin,
                   std::vector<Token>& tokens) const;
  void fuse_unk(std::size_t begin, std::vector<Token>& tokens) const;
  std::vector<Symbol> symbols_of(std::string_view piece) const;
  std::int32_t token_of(std::string_view text) const;
  void push(std::string_view part, const Symbol& symbol, std::uint32_t begin,
            std::vector<Token>& tokens) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<float> scores_;
  ScoredBpeOptions options_;
  ByteTokens byte_tokens_;
  Trie fixed_;
  CharPairs pairs_;
};

}  // namespace skua
