#include "text/bpe.h"

#include <algorithm>
#include <queue>

#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

// Up to so many symbols a search for the best merge beats a queue.
constexpr std::size_t kFew = 48;

std::uint32_t rank_of(const std::uint64_t* merge) {
  return merge ? static_cast<std::uint32_t>(*merge >> 32) : kNone;
}

std::int32_t merged_of(std::uint64_t merge) {
  return static_cast<std::int32_t>(merge & 0xffffffff);
}

std::string_view char_before(std::string_view text, std::size_t end) {
  const std::size_t at = utf8_before(text, end);
  return text.substr(at, end - at);
}

struct Merge {
  std::uint32_t rank, at;
  std::int32_t merged;
  bool operator<(const Merge& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

}  // namespace

struct Bpe::Symbol {
  std::int32_t id;
  std::uint32_t n_bytes;
  std::uint32_t rank = kNone;  // of the merge with the next
};

const std::uint64_t* Bpe::find_merge(std::int32_t left,
                                     std::int32_t right) const {
  return merges_.find(merge_key(left, right));
}

void Bpe::push_byte_symbols(std::string_view piece,
                            std::vector<Symbol>& out) const {
  bool after_unk = false;
  for (const char c : piece) {
    const std::int32_t id = byte_symbols_[static_cast<std::uint8_t>(c)];
    if (id >= 0)
      out.push_back({id, 1});
    else if (options_.unk && after_unk && options_.fuse_unk)
      ++out.back().n_bytes;
    else if (options_.unk)
      out.push_back({*options_.unk, 1});
    after_unk = id < 0;
  }
}

void Bpe::push_symbols(std::string_view piece, std::vector<Symbol>& out) const {
  std::uint32_t pending_unk = 0;  // bytes of it
  const auto flush_unk = [&] {
    if (pending_unk > 0) out.push_back({*options_.unk, pending_unk});
    pending_unk = 0;
  };
  std::string decorated;
  for (std::size_t at = 0; at < piece.size();) {
    const auto n = static_cast<std::uint32_t>(utf8_at(piece, at).n);
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
      flush_unk();
      out.push_back({*id, n});
      continue;
    }
    const auto byte_token = [&](char c) {
      return byte_tokens_[static_cast<std::uint8_t>(c)];
    };
    if (options_.byte_fallback &&
        std::all_of(symbol.begin(), symbol.end(),
                    [&](char c) { return byte_token(c) >= 0; })) {
      for (const char c : symbol) out.push_back({byte_token(c), 1});
      continue;
    }
    if (!options_.unk) continue;
    if (!options_.fuse_unk) flush_unk();
    pending_unk += n;
  }
  flush_unk();
}

void Bpe::encode(std::string_view piece, std::vector<Token>& tokens) const {
  if (options_.ignore_merges) {
    const auto id = takes_bytes_ ? vocabulary_->find(spell_bytes(piece))
                                 : vocabulary_->find(piece);
    if (id) {
      tokens.push_back({*id, 0, static_cast<std::uint32_t>(piece.size())});
      return;
    }
  }
  constexpr std::size_t kLong = 16;
  if (pairs_.empty() || piece.size() < kLong) {
    encode_part(piece, 0, tokens);
    return;
  }
  for (std::size_t at = 0; at < piece.size();) {
    std::size_t end = pairs_.part_end(piece, at);
    // A run of unknown characters may be one token.
    while (options_.fuse_unk && !options_.byte_fallback && end < piece.size() &&
           !vocabulary_->find(char_before(piece, end)))
      end = pairs_.part_end(piece, end);
    encode_part(piece.substr(at, end - at), static_cast<std::uint32_t>(at),
                tokens);
    at = end;
  }
}

void Bpe::encode_part(std::string_view piece, std::uint32_t begin,
                      std::vector<Token>& tokens) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  if (takes_bytes_)
    push_byte_symbols(piece, symbols);
  else
    push_symbols(piece, symbols);
  if (symbols.size() <= kFew)
    merge_few(symbols);
  else
    merge_many(symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.n_bytes == 0) continue;
    tokens.push_back({symbol.id, begin, begin + symbol.n_bytes});
    begin += symbol.n_bytes;
  }
}

void Bpe::merge_few(std::vector<Symbol>& symbols) const {
  const auto update = [&](std::size_t i) {
    symbols[i].rank =
        i + 1 < symbols.size()
            ? rank_of(find_merge(symbols[i].id, symbols[i + 1].id))
            : kNone;
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) update(i);
  while (symbols.size() > 1) {
    const auto best = std::min_element(
        symbols.begin(), symbols.end(),
        [](const Symbol& a, const Symbol& b) { return a.rank < b.rank; });
    if (best->rank == kNone) return;
    const auto at = static_cast<std::size_t>(best - symbols.begin());
    best->id = merged_of(*find_merge(best->id, symbols[at + 1].id));
    best->n_bytes += symbols[at + 1].n_bytes;
    symbols.erase(best + 1);
    update(at);
    if (at > 0) update(at - 1);
  }
}

// Symbols that are merged away are left with no bytes.
void Bpe::merge_many(std::vector<Symbol>& symbols) const {
  struct Link {
    std::uint32_t previous, next;
  };
  const auto n = static_cast<std::uint32_t>(symbols.size());
  std::vector<Link> links(n);
  std::priority_queue<Merge> queue;
  const auto merge_at = [&](std::uint32_t left) -> std::optional<Merge> {
    if (left == kNone || links[left].next == kNone) return std::nullopt;
    const std::uint64_t* found =
        find_merge(symbols[left].id, symbols[links[left].next].id);
    if (!found) return std::nullopt;
    return Merge{rank_of(found), left, merged_of(*found)};
  };
  const auto offer = [&](std::uint32_t left) {
    if (const auto merge = merge_at(left)) queue.push(*merge);
  };
  for (std::uint32_t i = 0; i < n; ++i)
    links[i] = {i == 0 ? kNone : i - 1, i + 1 == n ? kNone : i + 1};
  for (std::uint32_t i = 0; i + 1 < n; ++i) offer(i);
  while (!queue.empty()) {
    const Merge top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.at];
    if (left.n_bytes == 0) continue;
    const auto now = merge_at(top.at);
    if (!now || now->merged != top.merged) continue;
    Link& link = links[top.at];
    Symbol& right = symbols[link.next];
    left.id = top.merged;
    left.n_bytes += right.n_bytes;
    right.n_bytes = 0;
    link.next = links[link.next].next;
    if (link.next != kNone) links[link.next].previous = top.at;
    offer(link.previous);
    offer(top.at);
  }
}

}  // namespace skua
