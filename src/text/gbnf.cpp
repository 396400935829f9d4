#include "text/gbnf.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr int kMaxDepth = 64;
// Each may hang on the one before, which takes quadratic time to match.
constexpr std::size_t kMaxGbnfRules = 2000;
constexpr std::int32_t kMaxRepeat = 10'000;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

class GbnfParser {
 public:
  GbnfParser(GrammarRules& rules, std::string_view text)
      : rules_(rules), text_(text) {}

  std::int32_t parse() {
    const auto bad = find_invalid_utf8(text_);
    if (bad != std::string::npos) {
      at_ = bad;
      invalid("a byte that is not UTF-8");
    }
    for (skip_space(); at_ < text_.size(); skip_space()) read_rule();
    for (const auto& [name, rule] : names_)
      if (!rule.defined)
        throw InvalidInput("grammar",
                           "rule " + quote(name) + " is used but not defined");
    const auto root = names_.find("root");
    if (root == names_.end())
      throw InvalidInput("grammar", "there is no rule 'root'");
    return root->second.id;
  }

 private:
  struct Named {
    std::int32_t id;
    bool defined = false;
  };

  [[noreturn]] void invalid(const std::string& what) const {
    const auto before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto start = before.rfind('\n');
    const auto column =
        at_ - (start == std::string_view::npos ? 0 : start + 1) + 1;
    throw InvalidInput("grammar", "line " + std::to_string(line) + ", column " +
                                      std::to_string(column) + ": " + what);
  }

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  void skip_space() {
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

  std::string_view read_name() {
    const auto begin = at_;
    while (is_name_char(peek())) ++at_;
    if (at_ == begin) invalid("expected the name of a rule");
    return text_.substr(begin, at_ - begin);
  }

  Named& named(std::string_view name) {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    return names_.emplace(name, Named{rules_.add_rule()}).first->second;
  }

  // Whether a rule begins here: a name, then "::=".
  bool at_rule() {
    const auto begin = at_;
    while (is_name_char(peek())) ++at_;
    const bool has_name = at_ > begin;
    skip_space();
    const bool result = has_name && text_.substr(at_).starts_with("::=");
    at_ = begin;
    return result;
  }

  void read_rule() {
    const auto begin = at_;
    Named& rule = named(read_name());
    if (rule.defined) {
      at_ = begin;
      invalid("the rule is defined twice");
    }
    rule.defined = true;
    skip_space();
    if (!take("::=")) invalid("expected '::='");
    read_choices(rule.id, 0);
    if (at_ < text_.size() && !at_rule()) invalid("expected a rule");
  }

  void read_choices(std::int32_t rule, int depth) {
    if (rules_.size() > kMaxGbnfRules)
      throw Unsupported(
          "grammar",
          "more than " + std::to_string(kMaxGbnfRules) + " rules and groups");
    if (depth > kMaxDepth)
      invalid("groups nest deeper than " + std::to_string(kMaxDepth));
    do {
      rules_.add(rule, read_sequence(depth));
    } while (take("|"));
  }

  GrammarSequence read_sequence(int depth) {
    GrammarSequence sequence;
    for (skip_space(); at_ < text_.size(); skip_space()) {
      if (peek() == '|' || peek() == ')') break;
      if (is_name_char(peek()) && peek() != '.' && at_rule()) break;
      sequence.push_back(read_item(depth));
    }
    return sequence;
  }

  GrammarItem read_item(int depth) {
    GrammarItem item;
    if (peek() == '"') {
      item = GrammarItem::literal(read_text());
    } else if (take("[")) {
      item = GrammarItem::of(read_class());
    } else if (take("(")) {
      item = GrammarItem::ref(rules_.add_rule());
      read_choices(item.rule, depth + 1);
      if (!take(")")) invalid("expected ')'");
    } else if (take(".")) {
      item = GrammarItem::of(CharSet::any());
    } else if (is_name_char(peek())) {
      item = GrammarItem::ref(named(read_name()).id);
    } else {
      invalid("expected a text, a class, a group or a name");
    }
    return repeated(std::move(item));
  }

  GrammarItem repeated(GrammarItem item) {
    for (skip_space();; skip_space()) {
      std::int32_t min = 0, max = -1;
      if (take("*")) {
      } else if (take("+")) {
        min = 1;
      } else if (take("?")) {
        max = 1;
      } else if (take("{")) {
        read_counts(min, max);
      } else {
        return item;
      }
      if (item.kind == GrammarItem::Kind::kText || item.min != 1 ||
          item.max != 1)
        item = GrammarItem::ref(rules_.rule_of({std::move(item)}));
      item.min = min;
      item.max = max;
    }
  }

  void read_counts(std::int32_t& min, std::int32_t& max) {
    const auto number = [&] {
      skip_space();
      if (peek() < '0' || peek() > '9') invalid("expected a count");
      std::int32_t value = 0;
      for (; peek() >= '0' && peek() <= '9'; ++at_) {
        value = value * 10 + (peek() - '0');
        if (value > kMaxRepeat)
          invalid("a count over " + std::to_string(kMaxRepeat));
      }
      skip_space();
      return value;
    };
    skip_space();
    min = peek() == ',' ? 0 : number();
    max = min;
    if (take(",")) {
      skip_space();
      max = peek() == '}' ? -1 : number();
    }
    if (!take("}")) invalid("expected '}'");
    if (max >= 0 && max < min) invalid("the counts are out of order");
    if (max == 0) invalid("a count of zero");
  }

  std::string read_text() {
    take("\"");
    std::string text;
    while (!take("\"")) {
      if (at_ >= text_.size() || peek() == '\n') invalid("expected '\"'");
      append_utf8(text, read_char());
    }
    return text;
  }

  CharSet read_class() {
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

  // A character or an escape.
  char32_t read_char() {
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
        if (is_name_char(letter) && letter != '-' && letter != '.' &&
            letter != '_')
          invalid("an unknown escape");
        if (static_cast<unsigned char>(letter) >= 0x80)
          invalid("an unknown escape");
        return static_cast<char32_t>(letter);
    }
  }

  char32_t read_hex(int digits) {
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

  GrammarRules& rules_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::map<std::string, Named, std::less<>> names_;
};

}  // namespace

std::int32_t parse_gbnf(GrammarRules& rules, std::string_view text) {
  return GbnfParser(rules, text).parse();
}

}  // namespace skua
