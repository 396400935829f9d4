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
  std::vector<std::pair<std::string_view, std::int32_t>> raw, normalized;
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    (tokens_[i].normalized ? normalized : raw)
        .emplace_back(decoded_[i], static_cast<std::int32_t>(i));
  raw_ = Trie(std::move(raw));
  normalized_ = Trie(std::move(normalized));
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

Document AddedVocabulary::split(std::string_view text,
                                const Normalizer& normalizer,
                                bool parse_special, bool tracked) const {
  Document raw;
  cut(AlignedText(text, tracked), true, raw_, parse_special, raw);
  if (normalizer.empty() && normalized_.empty()) return raw;
  Document out;
  out.text.tracked = tracked;
  for (const TextPiece& piece : raw.pieces) {
    AlignedText part = raw.text.slice(piece.begin, piece.end);
    if (piece.id >= 0) {
      const auto begin = static_cast<std::uint32_t>(out.text.text.size());
      out.text.append(part);
      out.pieces.push_back(
          {begin, begin + piece.end - piece.begin, piece.id, false});
    } else {
      cut(normalizer.apply(std::move(part)), piece.starts_text, normalized_,
          parse_special, out);
    }
  }
  return out;
}

// Appends `text` with its pieces to `out`.
void AddedVocabulary::cut(AlignedText aligned, bool starts_text,
                          const Trie& trie, bool parse_special,
                          Document& out) const {
  const std::string_view text = aligned.text;
  const std::size_t base = out.text.text.size();
  std::size_t done = 0;
  const auto push = [&](std::size_t end, std::int32_t id) {
    if (done < end)
      out.pieces.push_back({static_cast<std::uint32_t>(base + done),
                            static_cast<std::uint32_t>(base + end), id,
                            id < 0 && starts_text && done == 0});
    done = end;
  };
  for (std::size_t at = 0; at < text.size() && !trie.empty();) {
    const auto [index, n] = trie.longest(text, at);
    std::size_t begin = at, end = at + n;
    at += std::max<std::size_t>(n, 1);
    // The reference repeats tokens inside the white space that rstrip took.
    if (index < 0 || end <= done) continue;
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
    push(std::max(begin, done), -1);
    push(end, token.id);
  }
  push(text.size(), -1);
  if (base == 0)
    out.text = std::move(aligned);
  else
    out.text.append(aligned);
}

}  // namespace skua
