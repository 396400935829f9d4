#include "text/unigram.h"

#include <algorithm>
#include <limits>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr double kUnkPenalty = 10;
constexpr std::uint32_t kNone = ~std::uint32_t{0};

// The best way to reach a byte of the piece.
template <typename Score>
struct Best {
  Score score = 0;
  std::uint32_t begin = kNone;  // of the last token
  std::int32_t id = -1;
};

}  // namespace

Unigram::Unigram(std::shared_ptr<const Vocabulary> vocabulary,
                 std::vector<double> scores, UnigramOptions options)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      options_(std::move(options)),
      byte_tokens_(find_byte_tokens(*vocabulary_)) {
  std::vector<std::pair<std::string_view, std::int32_t>> items;
  bool any = false;
  // The source starts from the smallest positive number.
  double max_score = std::numeric_limits<float>::min();
  std::vector<bool> fixed(scores_.size());
  for (const auto id : options_.fixed)
    fixed[static_cast<std::size_t>(id)] = true;
  for (std::int32_t id = 0; id < vocabulary_->size(); ++id) {
    const auto i = static_cast<std::size_t>(id);
    const bool unused = !options_.unused.empty() && options_.unused[i];
    if (!vocabulary_->has(id) || unused) continue;
    items.emplace_back(vocabulary_->piece(id), id);
    if (fixed[i]) continue;
    unk_score_ = any ? std::min(unk_score_, scores_[i]) : scores_[i];
    max_score = std::max(max_score, scores_[i]);
    any = true;
  }
  for (const auto id : options_.fixed)
    scores_[static_cast<std::size_t>(id)] =
        static_cast<double>(vocabulary_->piece(id).size()) * max_score - 0.1;
  unk_score_ -= kUnkPenalty;
  trie_ = Trie(std::move(items));
}

// Tokens from the last to the first.
template <typename Score>
std::vector<Token> Unigram::best_path(std::string_view piece) const {
  std::vector<Best<Score>> best(piece.size() + 1);
  const auto offer = [&](std::size_t begin, std::size_t end, double score,
                         std::int32_t id) {
    const Score sum = static_cast<Score>(score) + best[begin].score;
    Best<Score>& there = best[end];
    if (there.begin == kNone || sum > there.score)
      there = {sum, static_cast<std::uint32_t>(begin), id};
  };
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t n_char = utf8_at(piece, at).n;
    bool single = false;
    std::uint32_t node = trie_.root();
    for (std::size_t i = at; i < piece.size(); ++i) {
      node = trie_.child(node, piece[i]);
      if (node == 0) break;
      const std::int32_t id = trie_.value(node);
      if (id < 0) continue;
      single = single || i + 1 == at + n_char;
      offer(at, i + 1, scores_[static_cast<std::size_t>(id)], id);
    }
    if (!single) {
      if (!options_.unk)
        throw InvalidInput("tokenizer",
                           "the text has a character without a token, and "
                           "the vocabulary has no unknown token");
      offer(at, at + n_char, unk_score_, *options_.unk);
    }
    at += n_char;
  }
  std::vector<Token> path;
  for (auto end = static_cast<std::uint32_t>(piece.size()); end > 0;) {
    const auto& last = best[end];
    const bool unk = last.id == options_.unk;
    if (unk && !path.empty() && path.back().id == last.id)
      path.back().begin = last.begin;
    else
      path.push_back({last.id, last.begin, end});
    end = last.begin;
  }
  return path;
}

void Unigram::encode(std::string_view piece, std::vector<Token>& tokens) const {
  const std::vector<Token> path =
      options_.float_sums ? best_path<float>(piece) : best_path<double>(piece);
  for (auto token = path.rbegin(); token != path.rend(); ++token)
    push(piece, *token, tokens);
}

void Unigram::push(std::string_view piece, Token token,
                   std::vector<Token>& tokens) const {
  if (token.id != options_.unk) {
    tokens.push_back(token);
    return;
  }
  const std::string_view text =
      piece.substr(token.begin, token.end - token.begin);
  const auto known = vocabulary_->find(text);
  const bool all_bytes = std::all_of(text.begin(), text.end(), [&](char c) {
    return byte_tokens_[static_cast<std::uint8_t>(c)] >= 0;
  });
  if (known && !options_.float_sums) {
    token.id = *known;
  } else if (options_.byte_fallback && all_bytes) {
    for (const char c : text) {
      token.id = byte_tokens_[static_cast<std::uint8_t>(c)];
      tokens.push_back(token);
    }
    return;
  }
  tokens.push_back(token);
}

}  // namespace skua
