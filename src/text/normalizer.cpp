#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

// Real files replace a character by a few bytes; this bounds hostile ones.
constexpr std::size_t kMaxGrownBytes = 64 << 10;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) >= 0; });
}

std::string run(const NormalizeUnicode& step, std::string text) {
  if (is_ascii(text)) return text;
  const bool compose =
      step.form == UnicodeForm::kNfc || step.form == UnicodeForm::kNfkc;
  const bool compat =
      step.form == UnicodeForm::kNfkc || step.form == UnicodeForm::kNfkd;
  const auto options = static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
      (compat ? UTF8PROC_COMPAT : 0));
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t n = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &mapped, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      mapped, &std::free);
  if (n < 0)
    throw Error("normalizer", std::string("Unicode normalization failed: ") +
                                  utf8proc_errmsg(n));
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(n)};
}

template <typename Map>
std::string map_chars(std::string_view text, const Map& map) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    map(c.code, out);
    at += c.n;
  }
  return out;
}

std::string run(const Lowercase&, const std::string& text) {
  return map_chars(text, [](char32_t code, std::string& out) {
    // The only character whose lower case is two.
    if (code == 0x130) {
      out += "i\xcc\x87";
      return;
    }
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(
                         static_cast<utf8proc_int32_t>(code))));
  });
}

std::string run(const StripAccents&, const std::string& text) {
  return map_chars(text, [](char32_t code, std::string& out) {
    if (!is_mark(code)) append_utf8(out, code);
  });
}

std::string run(const StripSpace& step, const std::string& text) {
  std::size_t begin = 0, end = text.size();
  while (step.left && begin < end) {
    const Utf8Char c = utf8_at(text, begin);
    if (!is_white_space(c.code)) break;
    begin += c.n;
  }
  while (step.right && end > begin) {
    const std::size_t last = utf8_before(text, end);
    if (!is_white_space(utf8_at(text, last).code)) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

std::string run(const Prepend& step, std::string text) {
  if (!text.empty()) text.insert(0, step.text);
  return text;
}

std::string run(const ReplaceAll& step, const std::string& text) {
  return replace_matches(text, *step.pattern, step.text);
}

}  // namespace

std::string replace_matches(std::string_view text, const Regex& pattern,
                            std::string_view with) {
  const std::vector<TextRange> ranges = pattern.find_all(text);
  if (ranges.empty()) return std::string(text);
  if (with.size() > kMaxGrownBytes ||
      ranges.size() * with.size() > kMaxGrownBytes + 4 * text.size())
    throw InvalidInput("tokenizer", "a replacement makes the text too long");
  std::string out;
  std::size_t at = 0;
  for (const TextRange& range : ranges) {
    out += text.substr(at, range.begin - at);
    out += with;
    at = range.end;
  }
  out += text.substr(at);
  return out;
}

std::string Normalizer::apply(std::string text) const {
  const std::size_t limit = kMaxGrownBytes + 16 * text.size();
  for (const Step& step : steps_) {
    text = std::visit(
        [&](const auto& kind) { return run(kind, std::move(text)); }, step);
    if (text.size() > limit)
      throw InvalidInput("tokenizer", "normalizing makes the text too long");
  }
  return text;
}

}  // namespace skua
