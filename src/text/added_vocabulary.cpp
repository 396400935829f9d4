#include "text/added_vocabulary.h"

#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

// Bounds the search at one position of a text.
constexpr std::size_t kMaxContentBytes = 1024;

bool word_before(std::string_view text, std::size_t at) {
  return at > 0 && is_word_char(utf8_at(text, utf8_before(text, at)).code);
}

bool word_after(std::string_view text, std::size_t at) {
  return at < text.size() && is_word_char(utf8_at(text, at).code);
}

}  // namespace

AddedVocabulary::AddedVocabulary(std::vector<AddedToken> tokens,
                                 const Normalizer& normalizer,
                                 const std::string& where) {
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    if (token.content.size() > kMaxContentBytes)
      throw InvalidInput(where, "added token " + std::to_string(token.id) +
                                    " is too long, got " +
                                    std::to_string(token.content.size()) +
                                    " bytes, expected at most " +
                                    std::to_string(kMaxContentBytes));
    const auto [same_id, new_id] = by_id_.emplace(token.id, tokens_.size());
    const auto [same_text, new_text] =
        by_content_.emplace(token.content, tokens_.size());
    if (new_id != new_text || same_id->second != same_text->second)
      throw InvalidInput(where, "added token " + quote(token.content) +
                                    " and id " + std::to_string(token.id) +
                                    " are given twice and do not agree");
    std::string decoded =
        token.normalized ? normalizer.apply(token.content) : token.content;
    if (!new_id) {
      tokens_[same_id->second] = std::move(token);
      decoded_[same_id->second] = std::move(decoded);
      continue;
    }
    tokens_.push_back(std::move(token));
    decoded_.push_back(std::move(decoded));
  }
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    (tokens_[i].normalized ? normalized_ : raw_)
        .add(decoded_[i], static_cast<std::int32_t>(i));
}

const AddedToken* AddedVocabulary::by_id(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedVocabulary::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

const std::string& AddedVocabulary::decoded(const AddedToken& token) const {
  return decoded_[static_cast<std::size_t>(&token - tokens_.data())];
}

std::int32_t AddedVocabulary::max_id() const {
  return by_id_.empty() ? -1 : by_id_.rbegin()->first;
}

std::vector<TextPiece> AddedVocabulary::split(std::string_view text,
                                              const Normalizer& normalizer,
                                              bool parse_special) const {
  std::vector<TextPiece> raw, pieces;
  cut({std::string(text), -1, true}, raw_, parse_special, raw);
  for (TextPiece& piece : raw) {
    if (piece.id >= 0) {
      pieces.push_back(std::move(piece));
      continue;
    }
    piece.text = normalizer.apply(std::move(piece.text));
    cut(std::move(piece), normalized_, parse_special, pieces);
  }
  return pieces;
}

void AddedVocabulary::cut(TextPiece piece, const Trie& trie, bool parse_special,
                          std::vector<TextPiece>& out) const {
  const std::string_view text = piece.text;
  if (text.empty()) return;
  if (trie.empty()) {
    out.push_back(std::move(piece));
    return;
  }
  std::size_t done = 0;
  const auto plain = [&](std::size_t end) {
    if (done < end)
      out.push_back({std::string(text.substr(done, end - done)), -1,
                     piece.starts_text && done == 0});
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto [index, n] = trie.match(text, at);
    std::size_t begin = at, end = at + n;
    at += std::max<std::size_t>(n, 1);
    if (index < 0) continue;
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    if (token.special && !parse_special) continue;
    if (token.single_word &&
        (word_before(text, begin) || word_after(text, end)))
      continue;
    while (token.lstrip && begin > done) {
      const std::size_t before = utf8_before(text, begin);
      if (!is_white_space(utf8_at(text, before).code)) break;
      begin = before;
    }
    while (token.rstrip && end < text.size()) {
      const Utf8Char c = utf8_at(text, end);
      if (!is_white_space(c.code)) break;
      end += c.n;
    }
    plain(begin);
    out.push_back(
        {std::string(text.substr(begin, end - begin)), token.id, false});
    done = end;
  }
  plain(text.size());
}

void AddedVocabulary::Trie::add(std::string_view text, std::int32_t id) {
  if (text.empty()) return;
  std::uint64_t node = 0;
  for (const char c : text) {
    const std::uint64_t key = node << 8 | static_cast<std::uint8_t>(c);
    if (const std::uint64_t* next = edges_.find(key)) {
      node = *next;
      continue;
    }
    edges_.set(key, ids_.size());
    node = ids_.size();
    ids_.push_back(-1);
  }
  ids_[node] = id;
}

std::pair<std::int32_t, std::size_t> AddedVocabulary::Trie::match(
    std::string_view text, std::size_t at) const {
  std::pair<std::int32_t, std::size_t> longest = {-1, 0};
  std::uint64_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const std::uint64_t* next =
        edges_.find(node << 8 | static_cast<std::uint8_t>(text[i]));
    if (!next) break;
    node = *next;
    if (ids_[node] >= 0) longest = {ids_[node], i + 1 - at};
  }
  return longest;
}

}  // namespace skua
