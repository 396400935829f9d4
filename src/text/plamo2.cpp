#include "text/plamo2.h"

#include <algorithm>
#include <cmath>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr double kSteps = 1e4;  // of a score of 1
constexpr std::int64_t kUnknownCost = 10'000'000, kUnusedCost = 20'000'000;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

Plamo2::Plamo2(std::shared_ptr<const Vocabulary> vocabulary,
               const std::vector<float>& scores,
               const std::vector<bool>& unused, const std::string& where)
    : byte_tokens_(find_byte_tokens(*vocabulary)) {
  for (const auto id : byte_tokens_)
    if (id < 0)
      throw InvalidInput(where, "has no tokens <0x00> to <0xFF> of all bytes");
  std::vector<std::pair<std::string_view, std::int32_t>> items;
  for (std::int32_t id = 0; id < vocabulary->size(); ++id) {
    const auto i = static_cast<std::size_t>(id);
    // A cost of more than that of all bytes of a text serves nothing, and sums
    // must not run over.
    const double cost =
        std::min(std::round(-scores[i] * kSteps), double{kUnusedCost});
    costs_.push_back(static_cast<std::int64_t>(
        std::max(cost, -static_cast<double>(kUnusedCost))));
    if (vocabulary->has(id) && !unused[i] && costs_[i] < kUnusedCost)
      items.emplace_back(vocabulary->piece(id), id);
  }
  trie_ = Trie(std::move(items));
}

void Plamo2::encode(std::string_view piece, std::vector<Token>& tokens) const {
  struct Best {
    std::int64_t cost = 0;
    std::int32_t id = -1;  // -1: bytes
    std::uint32_t end = 0;
  };
  const std::size_t first = piece.starts_with(kByteOrderMark) ? 3 : 0;
  std::vector<Best> best(piece.size() + 1);
  for (std::size_t at = piece.size(); at > first;) {
    const std::size_t char_end = at;
    at = utf8_before(piece, at);
    Best& here = best[at];
    here = {best[char_end].cost + kUnknownCost, -1,
            static_cast<std::uint32_t>(char_end)};
    std::uint32_t node = trie_.root();
    for (std::size_t end = at; end < piece.size();) {
      node = trie_.child(node, piece[end++]);
      if (node == 0) break;
      const std::int32_t id = trie_.value(node);
      if (id < 0) continue;
      const auto cost = best[end].cost + costs_[static_cast<std::size_t>(id)];
      if (cost <= here.cost) here = {cost, id, static_cast<std::uint32_t>(end)};
    }
  }
  for (auto at = static_cast<std::uint32_t>(first); at < piece.size();) {
    const auto& [cost, id, end] = best[at];
    if (id >= 0) {
      tokens.push_back({id, at, end});
    } else {
      for (std::uint32_t i = at; i < end; ++i)
        tokens.push_back(
            {byte_tokens_[static_cast<std::uint8_t>(piece[i])], at, end});
    }
    at = end;
  }
}

}  // namespace skua
