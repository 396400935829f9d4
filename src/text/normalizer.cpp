#include "text/normalizer.h"

#include <utf8proc.h>

#include "skua/error.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

// Real files replace a character by a few bytes; this bounds hostile ones.
constexpr std::size_t kMaxGrownBytes = 64 << 10;

// Calls `step(rewriter, character)` until the end of `text`.
template <typename Step>
AlignedText rewrite(const AlignedText& text, const Step& step) {
  TextRewriter out(text);
  while (!out.at_end()) step(out, utf8_at(text.text, out.at()));
  return out.take();
}

template <typename Keep>
AlignedText filter(const AlignedText& text, const Keep& keep) {
  return rewrite(text, [&](TextRewriter& out, Utf8Char c) {
    if (keep(c.code))
      out.keep(c.n);
    else
      out.drop(c.n);
  });
}

AlignedText run(const NormalizeUnicode& step, AlignedText text) {
  return normalize_unicode(std::move(text), step.form);
}

AlignedText run(const Lowercase&, const AlignedText& text) {
  std::string lower;
  return rewrite(text, [&](TextRewriter& out, Utf8Char c) {
    lower.clear();
    // The only character whose lower case is two.
    if (c.code == 0x130)
      lower = "i\xcc\x87";
    else
      append_utf8(lower, static_cast<char32_t>(utf8proc_tolower(
                             static_cast<utf8proc_int32_t>(c.code))));
    out.replace(lower, c.n);
  });
}

AlignedText run(const StripAccents&, const AlignedText& text) {
  return filter(text, [](char32_t code) { return !is_mark(code); });
}

AlignedText run(const StripSpace& step, AlignedText text) {
  std::size_t begin = 0, end = text.text.size();
  while (step.left && begin < end) {
    const Utf8Char c = utf8_at(text.text, begin);
    if (!is_white_space(c.code)) break;
    begin += c.n;
  }
  while (step.right && end > begin) {
    const std::size_t last = utf8_before(text.text, end);
    if (!is_white_space(utf8_at(text.text, last).code)) break;
    end = last;
  }
  if (begin == 0 && end == text.text.size()) return text;
  return text.slice(begin, end);
}

AlignedText run(const Prepend& step, const AlignedText& text) {
  TextRewriter out(text);
  if (!text.text.empty()) out.put(step.text, 0);
  out.keep(text.text.size());
  return out.take();
}

AlignedText run(const Append& step, const AlignedText& text) {
  TextRewriter out(text);
  out.keep(text.text.size());
  if (!text.text.empty()) out.add(step.text);
  return out.take();
}

AlignedText run(const ReplaceAll& step, AlignedText text) {
  return replace_matches(std::move(text), *step.pattern, step.text);
}

bool is_chinese(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

AlignedText run(const BertClean& step, AlignedText text) {
  if (step.clean_text)
    text = rewrite(text, [](TextRewriter& out, Utf8Char c) {
      const bool kept = c.code == '\t' || c.code == '\n' || c.code == '\r';
      if (c.code == 0 || c.code == 0xfffd || (!kept && is_control(c.code)))
        out.drop(c.n);
      else if (is_white_space(c.code))
        out.replace(" ", c.n);
      else
        out.keep(c.n);
    });
  if (step.handle_chinese_chars)
    text = rewrite(text, [](TextRewriter& out, Utf8Char c) {
      const bool apart = is_chinese(c.code);
      if (apart) out.put(" ", out.at());
      out.keep(c.n);
      if (apart) out.add(" ");
    });
  if (step.strip_accents)
    text = filter(normalize_unicode(std::move(text), UnicodeForm::kNfd),
                  [](char32_t code) { return !is_nonspacing_mark(code); });
  if (step.lowercase) text = run(Lowercase{}, text);
  return text;
}

bool is_nmt_removed(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0b || (c >= 0x0e && c <= 0x1f) ||
         c == 0x7f || c == 0x8f || c == 0x9f;
}

bool is_nmt_space(char32_t c) {
  return c == 0x09 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 ||
         (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
         c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

AlignedText run(const NmtClean&, const AlignedText& text) {
  return rewrite(text, [](TextRewriter& out, Utf8Char c) {
    if (is_nmt_removed(c.code))
      out.drop(c.n);
    else if (is_nmt_space(c.code))
      out.replace(" ", c.n);
    else
      out.keep(c.n);
  });
}

AlignedText run(const MapChars& step, const AlignedText& text) {
  return map_clusters(text, *step.map);
}

AlignedText run(const SentencePieceRules& step, const AlignedText& text) {
  return apply_rules(text, step);
}

AlignedText run(const SpellBytes&, const AlignedText& text) {
  return rewrite(text, [&](TextRewriter& out, Utf8Char c) {
    const std::size_t at = out.at();
    for (std::size_t i = 0; i < c.n; ++i)
      out.put(byte_level_char(static_cast<std::uint8_t>(text.text[at + i])),
              at);
    out.drop(c.n);
  });
}

}  // namespace

AlignedText replace_matches(AlignedText text, const Regex& pattern,
                            std::string_view with) {
  const std::vector<TextRange> ranges = pattern.find_all(text.text);
  if (ranges.empty()) return text;
  if (with.size() > kMaxGrownBytes ||
      ranges.size() * with.size() > kMaxGrownBytes + 4 * text.text.size())
    throw InvalidInput("tokenizer", "a replacement makes the text too long");
  TextRewriter out(text);
  for (const TextRange& range : ranges) {
    out.keep(range.begin - out.at());
    out.drop(range.end - range.begin);
    out.add(with);
  }
  out.keep(text.text.size() - out.at());
  return out.take();
}

std::string replace_matches(std::string_view text, const Regex& pattern,
                            std::string_view with) {
  return replace_matches(AlignedText(text, false), pattern, with).text;
}

void Normalizer::add(Step step) {
  steps_.push_back(std::move(step));
}

AlignedText Normalizer::apply(AlignedText text) const {
  const std::size_t limit = kMaxGrownBytes + 16 * text.text.size();
  for (const Step& step : steps_) {
    text = std::visit(
        [&](const auto& kind) { return run(kind, std::move(text)); }, step);
    if (text.text.size() > limit)
      throw InvalidInput("tokenizer", "normalizing makes the text too long");
  }
  return text;
}

std::string Normalizer::apply(std::string_view text) const {
  return apply(AlignedText(text, false)).text;
}

}  // namespace skua
