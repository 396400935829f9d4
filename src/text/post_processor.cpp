#include "text/post_processor.h"

#include <algorithm>
#include <iterator>

#include "text/utf8.h"

namespace skua {
namespace {

bool is_space(char32_t code) {
  constexpr char32_t kByteLevelSpace = 0x120;
  return code == kByteLevelSpace || is_white_space(code);
}

std::size_t leading_spaces(std::string_view token) {
  std::size_t n = 0;
  for (std::size_t at = 0; at < token.size(); ++n) {
    const Utf8Char c = utf8_at(token, at);
    if (!is_space(c.code)) break;
    at += c.n;
  }
  return n;
}

std::size_t trailing_spaces(std::string_view token) {
  std::size_t n = 0;
  for (std::size_t end = token.size(); end > 0; ++n) {
    const std::size_t at = utf8_before(token, end);
    if (!is_space(utf8_at(token, at).code)) break;
    end = at;
  }
  return n;
}

// Moves the ends of a span inwards by characters of the text.
void shrink(SourceSpan& span, std::size_t n_left, std::size_t n_right,
            std::string_view text) {
  for (; n_left > 0 && span.begin < span.end; --n_left)
    span.begin = std::min(
        span.end,
        static_cast<std::uint32_t>(span.begin + utf8_at(text, span.begin).n));
  for (; n_right > 0 && span.end > span.begin; --n_right)
    span.end = std::max(
        span.begin, static_cast<std::uint32_t>(utf8_before(text, span.end)));
}

void trim(Encoding& encoding, PostProcessor::Trim step, std::string_view text) {
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    SourceSpan& span = encoding.offsets[i];
    if (span.end > text.size()) continue;
    std::size_t leading = leading_spaces(encoding.tokens[i]);
    const bool first = i == 0 || span.begin == 0;
    if (leading == 1 && first && step.add_prefix_space) leading = 0;
    shrink(span, leading, trailing_spaces(encoding.tokens[i]), text);
  }
  for (Encoding& other : encoding.overflowing) trim(other, step, text);
}

// The type of the text itself alone: parts that overflow keep theirs.
Encoding with_type(Encoding encoding, std::int32_t type_id) {
  std::fill(encoding.type_ids.begin(), encoding.type_ids.end(), type_id);
  return encoding;
}

Encoding tokens_of(const TemplatePiece& piece) {
  Encoding encoding;
  for (std::size_t i = 0; i < piece.ids.size(); ++i)
    encoding.push(piece.ids[i], piece.type_id, {},
                  i < piece.tokens.size() ? piece.tokens[i] : "", true);
  return encoding;
}

}  // namespace

void set_bert_template(const TemplatePiece& cls, const TemplatePiece& sep,
                       bool roberta, PostProcessor& post) {
  TemplatePiece last = sep;
  last.type_id = roberta ? 0 : 1;
  const TemplatePiece first = {.text = 0};
  const TemplatePiece second = {.text = 1, .type_id = last.type_id};
  post.single = {cls, first, sep};
  post.pair = {cls, first, sep};
  if (roberta) post.pair.push_back(sep);
  post.pair.push_back(second);
  post.pair.push_back(last);
}

void PostProcessor::surround(const TemplatePiece& token, bool in_front) {
  const auto around = [&](std::vector<TemplatePiece>& pieces, int text) {
    auto at = std::find_if(pieces.begin(), pieces.end(),
                           [&](const auto& p) { return p.text == text; });
    if (at == pieces.end()) return;
    const auto is_text = [](const TemplatePiece& p) { return p.text >= 0; };
    const std::int32_t type_id = at->type_id;
    if (in_front) {
      const auto begin =
          std::find_if(std::make_reverse_iterator(at), pieces.rend(), is_text)
              .base();
      at = pieces.erase(begin, at);
    } else {
      at = pieces.erase(at + 1, std::find_if(at + 1, pieces.end(), is_text));
    }
    if (token.ids.empty()) return;
    at = pieces.insert(at, token);
    at->type_id = type_id;
  };
  around(single, 0);
  around(pair, 0);
  around(pair, 1);
}

std::size_t PostProcessor::n_added(bool of_pair) const {
  std::size_t n = 0;
  for (const TemplatePiece& piece : of_pair ? pair : single)
    n += piece.ids.size();
  return n;
}

Encoding PostProcessor::apply(std::vector<Encoding> encodings,
                              const std::vector<std::string_view>& sources,
                              bool add_special) const {
  for (std::size_t i = 0; i < encodings.size(); ++i)
    for (const Trim step : trims) trim(encodings[i], step, sources[i]);
  Encoding out;
  for (const TemplatePiece& piece : encodings.size() > 1 ? pair : single) {
    if (piece.text >= 0)
      merge(out, with_type(encodings[static_cast<std::size_t>(piece.text)],
                           piece.type_id));
    else if (add_special)
      merge(out, tokens_of(piece));
  }
  return out;
}

}  // namespace skua
