// Strings of literals: quotes and escapes.
#include <algorithm>

#include "text/literal.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

// The quote that comes next, empty if none does.
std::string_view LiteralReader::opening_quote() const {
  const auto rest = text_.substr(std::min(at_, text_.size()));
  if (syntax_ == LiteralSyntax::kGemma4 && rest.starts_with(kGemma4Quote))
    return kGemma4Quote;
  if (syntax_ == LiteralSyntax::kGemma && rest.starts_with(kGemmaQuote))
    return kGemmaQuote;
  if (syntax_ == LiteralSyntax::kPython && rest.starts_with('\'')) return "'";
  return rest.starts_with('"') ? "\"" : "";
}

bool LiteralReader::string(std::string& text) {
  skip_space();
  const auto quote = opening_quote();
  if (quote.empty()) return false;
  at_ += quote.size();
  text.clear();
  if (quote.size() == 1) return string_between(quote, text);
  const std::size_t end = text_.find(quote, at_);
  if (end == std::string_view::npos) return false;
  text = text_.substr(at_, end - at_);
  at_ = end + quote.size();
  return true;
}

bool LiteralReader::string_between(std::string_view quote, std::string& text) {
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == quote[0]) return true;
    if (c != '\\') {
      text += c;
    } else if (!escape(text)) {
      return false;
    }
  }
  return false;
}

bool LiteralReader::escape(std::string& text) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  if (at_ == text_.size()) return false;
  const char c = text_[at_++];
  if (const auto i = kLetters.find(c); i != std::string_view::npos) {
    text += kValues[i];
    return true;
  }
  if (c == 'u') return unicode_escape(text);
  if (syntax_ != LiteralSyntax::kPython) return false;
  char32_t code = 0;
  if (c == 'x' || c == 'U') {
    if (!code_unit(c == 'x' ? 2 : 8, code)) return false;
    const bool valid = code < 0xD800 || (code > 0xDFFF && code < 0x110000);
    append_utf8(text, valid ? code : kReplacement);
  } else if (c == '\'') {
    text += c;
  } else if (c != '\n') {
    // Python keeps an unknown escape as it is.
    text += '\\';
    text += c;
  }
  return true;
}

bool LiteralReader::code_unit(std::size_t n_digits, char32_t& code) {
  if (text_.size() - at_ < n_digits) return false;
  code = 0;
  for (std::size_t i = 0; i < n_digits; ++i) {
    const char c = text_[at_++];
    const char lower = static_cast<char>(c | 0x20);
    if (is_digit(c)) {
      code = code * 16 + static_cast<char32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      code = code * 16 + static_cast<char32_t>(lower - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

// Half a surrogate pair has no UTF-8 and becomes U+FFFD.
bool LiteralReader::unicode_escape(std::string& text) {
  char32_t code = 0;
  if (!code_unit(4, code)) return false;
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
    const std::size_t back = at_;
    char32_t low = 0;
    at_ += 2;
    if (!code_unit(4, low)) return false;
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else {
      at_ = back;
    }
  }
  append_utf8(text, code >= 0xD800 && code < 0xE000 ? kReplacement : code);
  return true;
}

}  // namespace skua
