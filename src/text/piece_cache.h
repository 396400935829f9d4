#pragma once

#include <algorithm>
#include <bit>
#include <functional>
#include <string_view>
#include <vector>

#include "text/token_model.h"

namespace skua {

/** Encodes the pieces of one text, most of which are there many times: what a
 *  piece gave the last time is copied. The text must outlive it. */
class PieceCache {
 public:
  PieceCache(const TokenModel& model, std::size_t n_pieces) : model_(model) {
    constexpr std::size_t kFewPieces = 16, kMaxSlots = 1 << 15;
    if (n_pieces >= kFewPieces)
      slots_.resize(std::min(std::bit_ceil(n_pieces), kMaxSlots));
  }

  /** Appends the tokens of `piece`; `tokens` must be the same list at each
   *  call, which only grows. */
  void encode(std::string_view piece, std::vector<Token>& tokens) {
    if (slots_.empty() || piece.size() > kMaxBytes)
      return model_.encode(piece, tokens);
    Slot& slot =
        slots_[std::hash<std::string_view>()(piece) & (slots_.size() - 1)];
    const std::size_t begin = tokens.size();
    if (slot.piece == piece) {
      for (std::uint32_t i = 0; i < slot.n_tokens; ++i)
        tokens.push_back(tokens[slot.begin + i]);
      return;
    }
    model_.encode(piece, tokens);
    slot = {piece, begin, static_cast<std::uint32_t>(tokens.size() - begin)};
  }

 private:
  static constexpr std::size_t kMaxBytes = 64;
  struct Slot {
    std::string_view piece;
    std::size_t begin = 0;  // in the list of tokens
    std::uint32_t n_tokens = 0;
  };

  const TokenModel& model_;
  std::vector<Slot> slots_;
};

}  // namespace skua
