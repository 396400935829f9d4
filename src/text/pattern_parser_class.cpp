#include "skua/error.h"
#include "text/hex.h"
#include "text/pattern.h"
#include "text/pattern_parser.h"

namespace skua {
namespace {

bool is_letter_or_digit(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

}  // namespace

CharSet PatternParser::char_class() {
  const bool negated = take("^");
  std::vector<CharRange> ranges;
  while (!take("]")) {
    if (at_end()) invalid("a class is not closed");
    bool single = false;
    const CharSet member = class_member(single);
    const bool is_range = single && peek() == '-' && at_ + 1 < text_.size() &&
                          text_[at_ + 1] != ']';
    if (!is_range) {
      ranges.insert(ranges.end(), member.ranges().begin(),
                    member.ranges().end());
      continue;
    }
    take("-");
    bool single_end = false;
    const CharSet end = class_member(single_end);
    if (!single_end) invalid("a class cannot end a range");
    const char32_t low = member.ranges()[0].low, high = end.ranges()[0].low;
    if (low > high) invalid("a range is out of order");
    ranges.push_back({low, high});
  }
  const CharSet set(std::move(ranges));
  return negated ? set.complement() : set;
}

CharSet PatternParser::class_member(bool& single) {
  CharSet set = take("\\") ? escape(true) : CharSet::of(next_char());
  single = set.is_single();
  return set;
}

// What follows a backslash.
CharSet PatternParser::escape(bool in_class) {
  const char32_t c = next_char();
  if (const auto set = pattern_class(c)) return *set;
  switch (c) {
    case 't':
      return CharSet::of('\t');
    case 'n':
      return CharSet::of('\n');
    case 'v':
      return CharSet::of('\v');
    case 'f':
      return CharSet::of('\f');
    case 'r':
      return CharSet::of('\r');
    case 'c': {
      const char32_t letter = next_char();
      if (!is_letter_or_digit(letter) || letter <= '9')
        invalid("\\c without a letter");
      return CharSet::of(letter % 32);
    }
    case 'x':
      return CharSet::of(hex_escape(2));
    case 'u':
      return CharSet::of(unicode_escape());
    case 'p':
    case 'P':
      return property(c == 'P');
    case 'b':
      if (in_class) return CharSet::of('\b');
      unsupported("a word boundary");
    case 'B':
      unsupported("a word boundary");
    case '0':
      if (peek() >= '0' && peek() <= '9') unsupported("an octal escape");
      return CharSet::of(0);
    default:
      break;
  }
  if (c >= '1' && c <= '9') unsupported("a backreference");
  if (c == 'k') unsupported("a backreference");
  if (is_letter_or_digit(c)) invalid("an unknown escape");
  return CharSet::of(c);
}

char32_t PatternParser::hex_escape(int digits) {
  char32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    const int digit = hex_value(peek());
    if (digit < 0)
      invalid("expected " + std::to_string(digits) + " hexadecimal digits");
    value = value * 16 + digit;
    ++at_;
  }
  return value;
}

// \u0041, \u{1F600} or a pair of surrogates.
char32_t PatternParser::unicode_escape() {
  char32_t value = 0;
  if (take("{")) {
    do {
      value = value * 16 + hex_escape(1);
      if (value > 0x10FFFF) invalid("there is no such character");
    } while (!take("}"));
  } else {
    value = hex_escape(4);
    const bool is_high = value >= 0xD800 && value < 0xDC00;
    if (is_high && take("\\u")) {
      const char32_t low = hex_escape(4);
      if (low < 0xDC00 || low > 0xDFFF) invalid("half a pair of surrogates");
      return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
  }
  if (value >= 0xD800 && value <= 0xDFFF) invalid("half a pair of surrogates");
  return value;
}

CharSet PatternParser::property(bool negated) {
  const auto close = text_.find('}', at_);
  if (!take("{") || close == std::string_view::npos)
    invalid("expected a property in braces");
  const auto name = text_.substr(at_, close - at_);
  const auto set = pattern_category(name);
  if (!set) unsupported("property '" + std::string(name) + "'");
  at_ = close + 1;
  return negated ? set->complement() : *set;
}

}  // namespace skua
