#include "text/bpe.h"

#include <algorithm>
#include <queue>

#include "base/quote.h"
#include "skua/error.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

// Up to so many symbols a search for the best merge beats a queue.
constexpr std::size_t kFew = 48;

std::uint64_t pack(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 |
         static_cast<std::uint32_t>(right);
}

std::uint32_t rank_of(const std::uint64_t* merge) {
  return merge ? static_cast<std::uint32_t>(*merge >> 32) : kNone;
}

std::int32_t merged_of(std::uint64_t merge) {
  return static_cast<std::int32_t>(merge & 0xffffffff);
}

bool is_byte_token(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
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

// Whether the token is what the two make together.
bool Bpe::is_joined(std::int32_t id, std::string_view left,
                    std::string_view right) const {
  const std::string_view piece = vocabulary_->piece(id);
  return vocabulary_->has(id) && piece.size() == left.size() + right.size() &&
         piece.starts_with(left) && piece.ends_with(right);
}

Bpe::Merged Bpe::merged(const MergeText& merge, const std::string& where) {
  const auto [left, right] = merge;
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
  const std::string_view rest =
      right.substr(std::min(options_.prefix.size(), right.size()));
  // Merges mostly come in the order of what they make, some make the same.
  std::int32_t id = last_merged_;
  if (!is_joined(id, left, rest) && !is_joined(++id, left, rest))
    id = id_of(std::string(left) + std::string(rest));
  last_merged_ = id;
  for (const std::string_view text : {left, right})
    merges_bytes_ = merges_bytes_ || is_byte_token(text);
  merges_bytes_ =
      merges_bytes_ || left_id == options_.unk || right_id == options_.unk;
  return {pack(left_id, right_id),
          n_merges_++ << 32 | static_cast<std::uint32_t>(id)};
}

// The table is larger than caches: its places are fetched side by side.
void Bpe::add_merges(std::span<const MergeText> merges,
                     const std::string& where) {
  constexpr std::size_t kBlock = 32;
  std::array<Merged, kBlock> block;
  while (!merges.empty()) {
    const std::size_t n = std::min(kBlock, merges.size());
    for (std::size_t i = 0; i < n; ++i) {
      block[i] = merged(merges[i], where);
      merges_.prefetch(block[i].key);
    }
    for (std::size_t i = 0; i < n; ++i)
      merges_.set(block[i].key, block[i].value);
    merges = merges.subspan(n);
  }
}

void Bpe::cut_long_pieces() {
  // A character that is left out makes neighbours of others.
  const bool all_stay =
      options_.byte_fallback
          ? std::find(byte_tokens_.begin(), byte_tokens_.end(), -1) ==
                byte_tokens_.end()
          : options_.unk.has_value();
  if (all_stay && !merges_bytes_ && options_.prefix.empty() &&
      options_.suffix.empty())
    pairs_ = CharPairs(*vocabulary_);
}

bool Bpe::take_bytes() {
  if (options_.byte_fallback || !options_.prefix.empty() ||
      !options_.suffix.empty())
    return false;
  for (std::size_t byte = 0; byte < byte_symbols_.size(); ++byte)
    byte_symbols_[byte] =
        vocabulary_->find(byte_level_char(static_cast<std::uint8_t>(byte)))
            .value_or(-1);
  takes_bytes_ = true;
  return true;
}

const std::uint64_t* Bpe::find_merge(std::int32_t left,
                                     std::int32_t right) const {
  return merges_.find(pack(left, right));
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
