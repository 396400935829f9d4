#include "text/gbnf_text.h"

#include <algorithm>

#include "skua/error.h"
#include "text/hex.h"
#include "text/utf8.h"

namespace skua {

bool is_gbnf_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

GbnfText::GbnfText(std::string_view text) : text_(text) {
  const auto bad = find_invalid_utf8(text);
  if (bad == std::string::npos) return;
  at_ = bad;
  invalid("a byte that is not UTF-8");
}

void GbnfText::invalid(const std::string& what) const {
  const auto before = text_.substr(0, at_);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto start = before.rfind('\n');
  const auto column =
      at_ - (start == std::string_view::npos ? 0 : start + 1) + 1;
  throw InvalidInput("grammar", "line " + std::to_string(line) + ", column " +
                                    std::to_string(column) + ": " + what);
}

bool GbnfText::take(std::string_view expected) {
  if (!text_.substr(at_).starts_with(expected)) return false;
  at_ += expected.size();
  return true;
}

void GbnfText::skip_space() {
  while (at_ < text_.size()) {
    if (peek() == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (peek() == ' ' || peek() == '\t' || peek() == '\r' ||
               peek() == '\n') {
      ++at_;
    } else {
      return;
    }
  }
}

std::string_view GbnfText::read_name() {
  const auto begin = at_;
  while (is_gbnf_name_char(peek())) ++at_;
  if (at_ == begin) invalid("expected the name of a rule");
  return text_.substr(begin, at_ - begin);
}

std::string GbnfText::read_text() {
  take("\"");
  std::string text;
  while (!take("\"")) {
    if (at_ >= text_.size() || peek() == '\n') invalid("expected '\"'");
    append_utf8(text, read_char());
  }
  return text;
}

CharSet GbnfText::read_class() {
  const bool negated = take("^");
  std::vector<CharRange> ranges;
  while (!take("]")) {
    if (at_ >= text_.size()) invalid("expected ']'");
    const char32_t low = read_char();
    char32_t high = low;
    if (peek() == '-' && peek(1) != ']') {
      take("-");
      if (at_ >= text_.size()) invalid("expected ']'");
      high = read_char();
      if (high < low) invalid("a range is out of order");
    }
    ranges.push_back({low, high});
  }
  const CharSet set(std::move(ranges));
  return negated ? set.complement() : set;
}

char32_t GbnfText::read_char() {
  const auto c = utf8_at(text_, at_);
  at_ += c.n;
  if (c.code != '\\') return c.code;
  const char letter = peek();
  if (letter == '\0') invalid("the grammar ends in an escape");
  ++at_;
  switch (letter) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'x':
      return read_hex(2);
    case 'u':
      return read_hex(4);
    case 'U':
      return read_hex(8);
    default:
      if (is_gbnf_name_char(letter) && letter != '-' && letter != '.' &&
          letter != '_')
        invalid("an unknown escape");
      if (static_cast<unsigned char>(letter) >= 0x80)
        invalid("an unknown escape");
      return static_cast<char32_t>(letter);
  }
}

char32_t GbnfText::read_hex(int digits) {
  std::uint32_t value = 0;
  for (int i = 0; i < digits; ++i, ++at_) {
    const int digit = hex_value(peek());
    if (digit < 0)
      invalid("expected " + std::to_string(digits) + " hexadecimal digits");
    value = value * 16 + digit;
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
    invalid("there is no such character");
  return value;
}

}  // namespace skua
