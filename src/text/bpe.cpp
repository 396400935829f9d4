#include "text/bpe.h"

#include <queue>

#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

std::uint64_t pack(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 |
         static_cast<std::uint32_t>(right);
}

struct Symbol {
  std::int32_t id;
  std::uint32_t previous, next;
  bool gone;
};

struct Merge {
  std::uint32_t rank, at;
  std::int32_t merged;
  bool operator<(const Merge& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

}  // namespace

ByteTokens find_byte_tokens(const Vocabulary& vocabulary) {
  constexpr char kHex[] = "0123456789ABCDEF";
  ByteTokens ids;
  for (std::size_t byte = 0; byte < ids.size(); ++byte) {
    const char text[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    ids[byte] = vocabulary.find({text, sizeof text}).value_or(-1);
  }
  return ids;
}

Bpe::Bpe(std::shared_ptr<const Vocabulary> vocabulary, BpeOptions options,
         std::size_t n_merges)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      byte_tokens_(find_byte_tokens(*vocabulary_)),
      merges_(n_merges) {}

void Bpe::add_merge(std::string_view left, std::string_view right,
                    const std::string& where) {
  const auto id_of = [&](std::string_view text) {
    const auto id = vocabulary_->find(text);
    if (!id)
      throw InvalidInput(where, "merge " + std::to_string(n_merges_) + " (" +
                                    quote(left) + ", " + quote(right) +
                                    ") names " + quote(text) +
                                    ", which is not in the vocabulary");
    return *id;
  };
  const std::int32_t left_id = id_of(left), right_id = id_of(right);
  const std::size_t cut = std::min(options_.prefix.size(), right.size());
  const std::int32_t merged =
      id_of(std::string(left) + std::string(right.substr(cut)));
  merges_.set(pack(left_id, right_id),
              n_merges_++ << 32 | static_cast<std::uint32_t>(merged));
}

std::vector<std::int32_t> Bpe::symbols_of(std::string_view piece) const {
  std::vector<std::int32_t> ids;
  bool pending_unk = false;
  std::string decorated;
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t n = utf8_at(piece, at).n;
    std::string_view symbol = piece.substr(at, n);
    const bool first = at == 0;
    at += n;
    const bool last = at >= piece.size();
    if ((!first && !options_.prefix.empty()) ||
        (last && !options_.suffix.empty())) {
      decorated = first ? "" : options_.prefix;
      decorated += symbol;
      if (last) decorated += options_.suffix;
      symbol = decorated;
    }
    if (const auto id = vocabulary_->find(symbol)) {
      if (pending_unk) ids.push_back(*options_.unk);
      pending_unk = false;
      ids.push_back(*id);
      continue;
    }
    bool bytes = options_.byte_fallback;
    for (const char c : symbol)
      bytes = bytes && byte_tokens_[static_cast<std::uint8_t>(c)] >= 0;
    if (bytes) {
      for (const char c : symbol)
        ids.push_back(byte_tokens_[static_cast<std::uint8_t>(c)]);
      continue;
    }
    if (!options_.unk) continue;
    if (pending_unk && !options_.fuse_unk) ids.push_back(*options_.unk);
    pending_unk = true;
  }
  if (pending_unk) ids.push_back(*options_.unk);
  return ids;
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (const auto id = vocabulary_->find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  const std::vector<std::int32_t> start = symbols_of(piece);
  const auto n = static_cast<std::uint32_t>(start.size());
  std::vector<Symbol> symbols(n);
  std::priority_queue<Merge> queue;
  const auto merge_at = [&](std::uint32_t left) -> std::optional<Merge> {
    if (left == kNone || symbols[left].next == kNone) return std::nullopt;
    const std::uint64_t* found =
        merges_.find(pack(symbols[left].id, symbols[symbols[left].next].id));
    if (!found) return std::nullopt;
    return Merge{static_cast<std::uint32_t>(*found >> 32), left,
                 static_cast<std::int32_t>(*found & 0xffffffff)};
  };
  const auto offer = [&](std::uint32_t left) {
    if (const auto merge = merge_at(left)) queue.push(*merge);
  };
  for (std::uint32_t i = 0; i < n; ++i)
    symbols[i] = {start[i], i == 0 ? kNone : i - 1, i + 1 == n ? kNone : i + 1,
                  false};
  for (std::uint32_t i = 0; i + 1 < n; ++i) offer(i);
  while (!queue.empty()) {
    const Merge top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.at];
    if (left.gone) continue;
    const auto now = merge_at(top.at);
    if (!now || now->merged != top.merged) continue;
    Symbol& right = symbols[left.next];
    left.id = top.merged;
    left.next = right.next;
    right.gone = true;
    if (right.next != kNone) symbols[right.next].previous = top.at;
    offer(left.previous);
    offer(top.at);
  }
  for (const Symbol& symbol : symbols)
    if (!symbol.gone) ids.push_back(symbol.id);
}

}  // namespace skua
