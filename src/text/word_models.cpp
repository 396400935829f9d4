#include "text/word_models.h"

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

std::size_t count_chars(std::string_view text) {
  std::size_t n = 0;
  for (const char c : text) n += (c & 0xc0) != 0x80;
  return n;
}

Token unknown(std::optional<std::int32_t> unk, std::size_t begin,
              std::size_t end) {
  if (!unk)
    throw InvalidInput("tokenizer",
                       "the text has a word without a token, and the "
                       "vocabulary has no unknown token");
  return {*unk, static_cast<std::uint32_t>(begin),
          static_cast<std::uint32_t>(end)};
}

}  // namespace

Trie make_trie(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, std::int32_t>> items;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id)
    if (vocabulary.has(id)) items.emplace_back(vocabulary.piece(id), id);
  return Trie(std::move(items));
}

WordPiece::WordPiece(std::shared_ptr<const Vocabulary> vocabulary,
                     WordPieceOptions options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      trie_(make_trie(*vocabulary_)),
      behind_prefix_(trie_.walk(options_.prefix)) {}

void WordPiece::encode(std::string_view piece,
                       std::vector<Token>& tokens) const {
  const std::size_t n_before = tokens.size();
  bool whole = count_chars(piece) <= options_.max_chars;
  for (std::size_t at = 0; whole && at < piece.size();) {
    Trie::Match match;
    if (at == 0 || options_.prefix.empty())
      match = trie_.longest(piece, at);
    else if (behind_prefix_ != 0)
      match = trie_.longest(piece, at, behind_prefix_);
    whole = match.n_bytes > 0;
    tokens.push_back({match.value, static_cast<std::uint32_t>(at),
                      static_cast<std::uint32_t>(at + match.n_bytes)});
    at += match.n_bytes;
  }
  if (whole) return;
  tokens.resize(n_before);
  tokens.push_back(unknown(options_.unk, 0, piece.size()));
}

WordLevel::WordLevel(std::shared_ptr<const Vocabulary> vocabulary,
                     std::optional<std::int32_t> unk)
    : vocabulary_(std::move(vocabulary)), unk_(unk) {}

void WordLevel::encode(std::string_view piece,
                       std::vector<Token>& tokens) const {
  const auto id = vocabulary_->find(piece);
  tokens.push_back(unknown(id ? id : unk_, 0, piece.size()));
}

LongestToken::LongestToken(std::shared_ptr<const Vocabulary> vocabulary,
                           std::optional<std::int32_t> unk)
    : vocabulary_(std::move(vocabulary)),
      unk_(unk),
      trie_(make_trie(*vocabulary_)) {}

void LongestToken::encode(std::string_view piece,
                          std::vector<Token>& tokens) const {
  for (std::size_t at = 0; at < piece.size();) {
    const Trie::Match match = trie_.longest(piece, at);
    const std::size_t n =
        match.n_bytes > 0 ? match.n_bytes : utf8_at(piece, at).n;
    const auto id = match.n_bytes > 0 ? std::optional(match.value) : unk_;
    tokens.push_back(unknown(id, at, at + n));
    at += n;
  }
}

}  // namespace skua
