#include <algorithm>
#include <queue>

#include "text/bpe.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

struct Pair {
  float score;
  std::uint32_t left, n_bytes;  // n_bytes of both, to notice stale entries
  bool operator<(const Pair& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

struct ScoredBpe::Symbol {
  std::uint32_t begin, n_bytes;  // n_bytes = 0 when merged away
  std::uint32_t previous, next;
  bool fixed;
};

ScoredBpe::ScoredBpe(std::shared_ptr<const Vocabulary> vocabulary,
                     std::vector<float> scores, ScoredBpeOptions options)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      options_(std::move(options)),
      byte_tokens_(find_byte_tokens(*vocabulary_)),
      fixed_(find_pieces(*vocabulary_, options_.fixed)) {
  if (!options_.whole_pieces) pairs_ = CharPairs(*vocabulary_);
}

std::int32_t ScoredBpe::token_of(std::string_view text) const {
  const auto id = vocabulary_->find(text);
  if (!id) return -1;
  const auto i = static_cast<std::size_t>(*id);
  return options_.unmergeable.empty() || !options_.unmergeable[i] ? *id : -1;
}

std::vector<ScoredBpe::Symbol> ScoredBpe::symbols_of(
    std::string_view piece) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t n_fixed =
        fixed_.empty() ? 0 : fixed_.longest(piece, at).n_bytes;
    const auto n = static_cast<std::uint32_t>(
        n_fixed > 0 ? n_fixed : utf8_at(piece, at).n);
    const auto i = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({static_cast<std::uint32_t>(at), n,
                       i == 0 ? kNone : i - 1,
                       at + n < piece.size() ? i + 1 : kNone, n_fixed > 0});
    at += n;
  }
  return symbols;
}

void ScoredBpe::encode(std::string_view piece,
                       std::vector<Token>& tokens) const {
  if (const std::int32_t id = options_.whole_pieces ? token_of(piece) : -1;
      id >= 0) {
    tokens.push_back({id, 0, static_cast<std::uint32_t>(piece.size())});
    return;
  }
  const std::size_t n_before = tokens.size();
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t end =
        pairs_.empty() ? piece.size() : pairs_.part_end(piece, at);
    encode_part(piece.substr(at, end - at), static_cast<std::uint32_t>(at),
                tokens);
    at = end;
  }
  if (options_.fuse_unk) fuse_unk(n_before, tokens);
}

// One unk for a run of them.
void ScoredBpe::fuse_unk(std::size_t begin, std::vector<Token>& tokens) const {
  std::size_t n = begin;
  for (std::size_t i = begin; i < tokens.size(); ++i) {
    const Token token = tokens[i];
    if (n > begin && token.id == options_.unk && tokens[n - 1].id == token.id)
      tokens[n - 1].end = token.end;
    else
      tokens[n++] = token;
  }
  tokens.resize(n);
}

void ScoredBpe::encode_part(std::string_view piece, std::uint32_t begin,
                            std::vector<Token>& tokens) const {
  std::vector<Symbol> symbols = symbols_of(piece);
  std::priority_queue<Pair> queue;
  const auto offer = [&](std::uint32_t left) {
    if (left == kNone || symbols[left].next == kNone) return;
    const Symbol& right = symbols[symbols[left].next];
    if (symbols[left].fixed || right.fixed) return;
    const std::uint32_t n_bytes = symbols[left].n_bytes + right.n_bytes;
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
  for (const Symbol& symbol : symbols)
    if (symbol.n_bytes > 0) push(piece, symbol, begin, tokens);
}

void ScoredBpe::push(std::string_view part, const Symbol& symbol,
                     std::uint32_t begin, std::vector<Token>& tokens) const {
  const std::string_view text = part.substr(symbol.begin, symbol.n_bytes);
  begin += symbol.begin;
  const std::uint32_t end = begin + symbol.n_bytes;
  const std::int32_t id =
      symbol.fixed ? *vocabulary_->find(text) : token_of(text);
  if (id >= 0) {
    tokens.push_back({id, begin, end});
    return;
  }
  const auto byte_token = [&](char c) {
    return byte_tokens_[static_cast<std::uint8_t>(c)];
  };
  if (options_.byte_fallback) {
    for (const char c : text) {
      const std::int32_t byte = byte_token(c);
      if (byte >= 0 || options_.unk)
        tokens.push_back({byte >= 0 ? byte : *options_.unk, begin, end});
    }
  } else if (options_.unk) {
    tokens.push_back({*options_.unk, begin, end});
  }
}

}  // namespace skua
