#include "text/jinja_lexer.h"

#include <array>

#include "text/jinja_text.h"

namespace skua::jinja {
namespace {

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         is_ascii_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

int digit_value(char c) {
  if (is_ascii_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (pos_ < source_.size()) root();
    add(TokenKind::kEnd, source_.size(), "");
    return std::move(tokens_);
  }

 private:
  std::string_view source_;
  std::size_t pos_ = 0;
  bool line_starting_ = true;
  std::vector<Token> tokens_;

  [[noreturn]] void fail(const std::string& message, std::size_t at) const {
    throw PlacedFailure{message, static_cast<std::uint32_t>(at)};
  }

  bool looking_at(std::string_view text, std::size_t at) const {
    return source_.substr(at, text.size()) == text;
  }

  std::size_t skip_space(std::size_t at) const {
    while (at < source_.size()) {
      std::size_t next = at;
      if (!is_space(next_char(source_, next))) break;
      at = next;
    }
    return at;
  }

  void add(TokenKind kind, std::size_t at, std::string text) {
    tokens_.push_back({kind, static_cast<std::uint32_t>(at), std::move(text)});
  }

  /** The text from `begin` up to a tag at `end`, without the white space that
   *  the tag's sign or lstrip_blocks takes. */
  void add_data(std::size_t begin, std::size_t end, char sign, bool lstrip) {
    std::string_view text = source_.substr(begin, end - begin);
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign != '+' && lstrip) {
      const std::size_t line = text.rfind('\n') + 1;
      if ((line > 0 || line_starting_) &&
          strip(text.substr(line), nullptr, true, false).empty()) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) add(TokenKind::kData, begin, std::string(text));
  }

  /** Length of the tag end `mark` with its sign at `at`; 0 if absent. */
  std::size_t end_length(std::string_view mark, std::size_t at, bool plus,
                         bool trims_newline) const {
    if (looking_at(mark, at)) {
      const std::size_t next = at + mark.size();
      return mark.size() + (trims_newline && looking_at("\n", next) ? 1 : 0);
    }
    if (source_[at] == '-' && looking_at(mark, at + 1)) {
      return skip_space(at + 1 + mark.size()) - at;
    }
    if (plus && source_[at] == '+' && looking_at(mark, at + 1)) {
      return 1 + mark.size();
    }
    return 0;
  }

  void consume_end(std::size_t at, std::size_t length) {
    pos_ = at + length;
    line_starting_ = source_[pos_ - 1] == '\n';
  }

  void root() {
    const std::size_t begin = pos_;
    std::size_t tag = begin;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        add(TokenKind::kData, begin, std::string(source_.substr(begin)));
        pos_ = source_.size();
        return;
      }
      const char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char type = source_[tag + 1];
    const char after = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const char sign = after == '-' || after == '+' ? after : '\0';
    const std::size_t inside = tag + 2 + (sign ? 1 : 0);
    add_data(begin, tag, sign, type != '{');
    if (type == '#') {
      comment(tag, inside);
    } else if (type == '{') {
      add(TokenKind::kVariableBegin, tag, "{{");
      pos_ = inside;
      tag_tokens("}}", TokenKind::kVariableEnd, tag);
    } else if (!raw(tag, inside)) {
      add(TokenKind::kBlockBegin, tag, "{%");
      pos_ = inside;
      tag_tokens("%}", TokenKind::kBlockEnd, tag);
    }
  }

  void comment(std::size_t tag, std::size_t inside) {
    const std::size_t mark = source_.find("#}", inside);
    if (inside == source_.size()) {
      pos_ = inside;  // Jinja2 accepts a comment tag that ends the template
      return;
    }
    if (mark == std::string_view::npos) {
      fail("Missing end of comment tag", tag);
    }
    const char sign = mark > inside ? source_[mark - 1] : '\0';
    const std::size_t at = sign == '-' || sign == '+' ? mark - 1 : mark;
    consume_end(at, end_length("#}", at, true, true));
  }

  bool raw(std::size_t tag, std::size_t inside) {
    std::size_t at = skip_space(inside);
    if (!looking_at("raw", at)) return false;
    at = skip_space(at + 3);
    if (at >= source_.size()) return false;
    const std::size_t length = end_length("%}", at, false, false);
    if (length == 0) return false;
    consume_end(at, length);
    const std::size_t begin = pos_;
    for (std::size_t open = source_.find("{%", begin);
         open != std::string_view::npos; open = source_.find("{%", open + 1)) {
      std::size_t name = open + 2;
      const char after = name < source_.size() ? source_[name] : '\0';
      const char sign = after == '-' || after == '+' ? after : '\0';
      name = skip_space(name + (sign ? 1 : 0));
      if (!looking_at("endraw", name)) continue;
      const std::size_t end = skip_space(name + 6);
      if (end >= source_.size()) break;
      const std::size_t end_size = end_length("%}", end, true, true);
      if (end_size == 0) continue;
      add_data(begin, open, sign, true);
      consume_end(end, end_size);
      return true;
    }
    fail("Missing end of raw directive", tag);
  }

  /** The tokens inside one tag, up to and with its end `mark`. */
  void tag_tokens(std::string_view mark, TokenKind end_kind, std::size_t tag) {
    const bool block = end_kind == TokenKind::kBlockEnd;
    std::string open;
    for (;;) {
      pos_ = skip_space(pos_);
      if (pos_ >= source_.size()) {
        fail("unexpected end of template inside a tag", tag);
      }
      if (open.empty()) {
        if (const auto length = end_length(mark, pos_, block, block)) {
          add(end_kind, pos_, std::string(mark));
          consume_end(pos_, length);
          return;
        }
      }
      one_token(open);
    }
  }

  void one_token(std::string& open) {
    const char c = source_[pos_];
    if (is_ascii_digit(c)) {
      number();
    } else if (is_name_char(c)) {
      const std::size_t begin = pos_;
      while (pos_ < source_.size() && is_name_char(source_[pos_])) ++pos_;
      add(TokenKind::kName, begin,
          std::string(source_.substr(begin, pos_ - begin)));
    } else if (c == '\'' || c == '"') {
      string(c);
    } else {
      operation(open);
    }
  }

  /** End of digits of `base` from `at`, single '_' between them allowed. */
  std::size_t digits_end(std::size_t at, int base) const {
    while (at < source_.size() &&
           (digit_value(source_[at]) < base ||
            (source_[at] == '_' && at + 1 < source_.size() &&
             digit_value(source_[at + 1]) < base))) {
      ++at;
    }
    return at;
  }

  bool digit_at(std::size_t at) const {
    return at < source_.size() && is_ascii_digit(source_[at]);
  }

  void add_number(TokenKind kind, std::size_t end) {
    std::string text;
    for (const char c : source_.substr(pos_, end - pos_)) {
      if (c != '_') text += c;
    }
    add(kind, pos_, std::move(text));
    pos_ = end;
  }

  void number() {
    std::size_t end = digits_end(pos_, 10);
    bool is_float = false;
    if (pos_ == 0 || source_[pos_ - 1] != '.') {
      if (end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
        end = digits_end(end + 1, 10);
        is_float = true;
      }
      if (end < source_.size() && (source_[end] | 32) == 'e') {
        std::size_t exponent = end + 1;
        if (exponent < source_.size() &&
            (source_[exponent] == '+' || source_[exponent] == '-')) {
          ++exponent;
        }
        if (digit_at(exponent)) {
          end = digits_end(exponent, 10);
          is_float = true;
        }
      }
    }
    if (is_float) return add_number(TokenKind::kFloat, end);
    if (source_[pos_] == '0' && pos_ + 1 < source_.size()) {
      const char letter = static_cast<char>(source_[pos_ + 1] | 32);
      const int base = letter == 'b' ? 2 : letter == 'o' ? 8 : 16;
      if (letter == 'b' || letter == 'o' || letter == 'x') {
        const std::size_t stop = digits_end(pos_ + 2, base);
        if (stop > pos_ + 2) return add_number(TokenKind::kInteger, stop);
      }
      end = digits_end(pos_, 1);
    }
    add_number(TokenKind::kInteger, end);
  }

  void string(char quote) {
    const std::size_t begin = pos_++;
    std::string text;
    while (pos_ < source_.size() && source_[pos_] != quote) {
      if (source_[pos_] == '\\' && pos_ + 1 < source_.size()) {
        ++pos_;
        escape(text, begin);
      } else {
        text += source_[pos_++];
      }
    }
    if (pos_ >= source_.size())
      fail("unexpected char '" + std::string(1, quote) +
               "', the string has no end",
           begin);
    ++pos_;
    add(TokenKind::kString, begin, std::move(text));
  }

  void escape(std::string& text, std::size_t begin) {
    static constexpr std::string_view kFrom = "\\'\"abfnrtv";
    static constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    const char c = source_[pos_++];
    if (const auto at = kFrom.find(c); at != std::string_view::npos) {
      text += kTo[at];
    } else if (c == '\n') {
      return;
    } else if (c >= '0' && c <= '7') {
      char32_t value = static_cast<char32_t>(c - '0');
      for (int i = 0;
           i < 2 && pos_ < source_.size() && digit_value(source_[pos_]) < 8;
           ++i) {
        value = value * 8 + static_cast<char32_t>(digit_value(source_[pos_++]));
      }
      append_char(text, value);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      char32_t value = 0;
      for (int i = 0, n = c == 'x' ? 2 : c == 'u' ? 4 : 8; i < n; ++i) {
        const int digit =
            pos_ < source_.size() ? digit_value(source_[pos_]) : 99;
        if (digit > 15)
          fail("truncated \\" + std::string(1, c) + " escape", begin);
        value = value * 16 + static_cast<char32_t>(digit);
        ++pos_;
      }
      if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        fail("illegal Unicode character in an escape", begin);
      }
      append_char(text, value);
    } else if (c == 'N') {
      fail("\\N{name} escapes are not supported", begin);
    } else {
      text += '\\';
      text += c;
    }
  }

  void operation(std::string& open) {
    static constexpr std::array<std::string_view, 26> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const auto op : kOperators) {
      if (!looking_at(op, pos_)) continue;
      if (op == "(") open += ')';
      if (op == "[") open += ']';
      if (op == "{") open += '}';
      if (op == ")" || op == "]" || op == "}") {
        if (open.empty()) fail("unexpected '" + std::string(op) + "'", pos_);
        if (open.back() != op[0]) {
          fail("unexpected '" + std::string(op) + "', expected '" +
                   open.back() + "'",
               pos_);
        }
        open.pop_back();
      }
      add(TokenKind::kOperator, pos_, std::string(op));
      pos_ += op.size();
      return;
    }
    std::size_t end = pos_;
    next_char(source_, end);
    fail("unexpected char " + repr_string(source_.substr(pos_, end - pos_)),
         pos_);
  }
};

}  // namespace

std::string normalise_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace skua::jinja
