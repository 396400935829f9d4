#include <queue>

#include "text/bpe.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

struct Symbol {
  std::uint32_t begin, n_bytes;  // n_bytes = 0 when merged away
  std::uint32_t previous, next;
};

struct Pair {
  float score;
  std::uint32_t left, n_bytes;  // n_bytes of both, to notice stale entries
  bool operator<(const Pair& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

ScoredBpe::ScoredBpe(std::shared_ptr<const Vocabulary> vocabulary,
                     std::vector<float> scores, std::vector<bool> mergeable,
                     std::optional<std::int32_t> unk)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      mergeable_(std::move(mergeable)),
      unk_(unk),
      byte_tokens_(find_byte_tokens(*vocabulary_)) {}

void ScoredBpe::encode(std::string_view piece,
                       std::vector<std::int32_t>& ids) const {
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < piece.size();) {
    const auto n = static_cast<std::uint32_t>(utf8_at(piece, at).n);
    const auto i = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({static_cast<std::uint32_t>(at), n,
                       i == 0 ? kNone : i - 1,
                       at + n < piece.size() ? i + 1 : kNone});
    at += n;
  }
  std::priority_queue<Pair> queue;
  const auto token_of = [&](std::string_view text) -> std::int32_t {
    const auto id = vocabulary_->find(text);
    return id && mergeable_[static_cast<std::size_t>(*id)] ? *id : -1;
  };
  const auto offer = [&](std::uint32_t left) {
    if (left == kNone || symbols[left].next == kNone) return;
    const std::uint32_t n_bytes =
        symbols[left].n_bytes + symbols[symbols[left].next].n_bytes;
    const std::int32_t id =
        token_of(piece.substr(symbols[left].begin, n_bytes));
    if (id >= 0)
      queue.push({scores_[static_cast<std::size_t>(id)], left, n_bytes});
  };
  for (std::uint32_t i = 0; i < symbols.size(); ++i) offer(i);
  while (!queue.empty()) {
    const Pair top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.left];
    if (left.n_bytes == 0 || left.next == kNone) continue;
    Symbol& right = symbols[left.next];
    if (left.n_bytes + right.n_bytes != top.n_bytes) continue;
    left.n_bytes = top.n_bytes;
    right.n_bytes = 0;
    left.next = right.next;
    if (right.next != kNone) symbols[right.next].previous = top.left;
    offer(left.previous);
    offer(top.left);
  }
  for (const Symbol& symbol : symbols) {
    if (symbol.n_bytes == 0) continue;
    const std::string_view text = piece.substr(symbol.begin, symbol.n_bytes);
    if (const std::int32_t id = token_of(text); id >= 0) {
      ids.push_back(id);
      continue;
    }
    for (const char c : text) {
      const std::int32_t id = byte_tokens_[static_cast<std::uint8_t>(c)];
      if (id >= 0)
        ids.push_back(id);
      else if (unk_)
        ids.push_back(*unk_);
    }
  }
}

}  // namespace skua
