#include "text/pattern_parser.h"

#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr int kMaxDepth = 100;
constexpr std::int32_t kMaxRepeat = 100'000;
constexpr std::size_t kMaxBytes = 1 << 16;

}  // namespace

PatternParser::PatternParser(std::string_view text, const std::string& where)
    : text_(text), where_(where) {
  if (text.size() > kMaxBytes)
    throw InvalidInput(where, "the pattern has " + std::to_string(text.size()) +
                                  " bytes, expected at most " +
                                  std::to_string(kMaxBytes));
  const auto bad = find_invalid_utf8(text);
  if (bad != std::string::npos)
    throw InvalidInput(
        where, "the pattern is not UTF-8 at byte " + std::to_string(bad));
}

PatternNode PatternParser::parse() {
  auto node = choice(0);
  if (!at_end()) invalid("there is no group to close");
  return node;
}

void PatternParser::invalid(const std::string& what) const {
  throw InvalidInput(where_, "in pattern " + quote(text_) + " at byte " +
                                 std::to_string(at_) + ": " + what);
}

void PatternParser::unsupported(const std::string& what) const {
  throw Unsupported(where_, "in pattern " + quote(text_) + " at byte " +
                                std::to_string(at_) + ": " + what +
                                ", which is not supported");
}

bool PatternParser::take(std::string_view expected) {
  if (!text_.substr(at_).starts_with(expected)) return false;
  at_ += expected.size();
  return true;
}

char32_t PatternParser::next_char() {
  if (at_end()) invalid("it ends too early");
  const auto c = utf8_at(text_, at_);
  at_ += c.n;
  return c.code;
}

PatternNode PatternParser::choice(int depth) {
  if (depth > kMaxDepth)
    invalid("groups nest deeper than " + std::to_string(kMaxDepth));
  PatternNode node{
      .kind = PatternNode::Kind::kChoice, .chars = {}, .children = {}};
  do {
    node.children.push_back(sequence(depth));
  } while (take("|"));
  return node;
}

PatternNode PatternParser::sequence(int depth) {
  PatternNode node;
  while (!at_end() && peek() != '|' && peek() != ')')
    node.children.push_back(quantified(atom(depth)));
  return node;
}

PatternNode PatternParser::quantified(PatternNode atom) {
  std::int32_t min = 0, max = -1;
  if (take("*")) {
  } else if (take("+")) {
    min = 1;
  } else if (take("?")) {
    max = 1;
  } else if (peek() != '{' || !read_counts(min, max)) {
    return atom;
  }
  take("?");  // lazy: the language is the same
  if (atom.kind == PatternNode::Kind::kBegin ||
      atom.kind == PatternNode::Kind::kEnd)
    invalid("an anchor cannot be repeated");
  if (peek() == '*' || peek() == '+' || peek() == '?')
    invalid("there is nothing to repeat");
  PatternNode node{
      .kind = PatternNode::Kind::kRepeat, .chars = {}, .children = {}};
  node.children.push_back(std::move(atom));
  node.min = min;
  node.max = max;
  return node;
}

// "{2}", "{2,}" or "{2,5}"; anything else is a plain brace.
bool PatternParser::read_counts(std::int32_t& min, std::int32_t& max) {
  const std::size_t begin = at_;
  const auto number = [&](std::int32_t& value) {
    const std::size_t first = at_;
    value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + (peek() - '0');
      if (value > kMaxRepeat)
        unsupported("more than " + std::to_string(kMaxRepeat) + " repetitions");
    }
    return at_ > first;
  };
  take("{");
  bool good = number(min);
  max = min;
  if (good && take(",") && !number(max)) max = -1;
  good = good && take("}");
  if (!good) at_ = begin;
  if (good && max >= 0 && max < min) invalid("the counts are out of order");
  return good;
}

PatternNode PatternParser::atom(int depth) {
  const auto leaf = [](PatternNode::Kind kind, CharSet chars = {}) {
    PatternNode node;
    node.kind = kind;
    node.chars = std::move(chars);
    return node;
  };
  using Kind = PatternNode::Kind;
  if (take("^")) return leaf(Kind::kBegin);
  if (take("$")) return leaf(Kind::kEnd);
  if (take("(")) return group(depth);
  if (take("[")) return leaf(Kind::kChars, char_class());
  if (take(".")) return leaf(Kind::kChars, pattern_dot());
  if (take("\\")) return leaf(Kind::kChars, escape(false));
  if (peek() == '*' || peek() == '+' || peek() == '?')
    invalid("there is nothing to repeat");
  return leaf(Kind::kChars, CharSet::of(next_char()));
}

PatternNode PatternParser::group(int depth) {
  if (take("?")) {
    if (take("=") || take("!")) unsupported("lookahead");
    if (take("<=") || take("<!")) unsupported("lookbehind");
    if (take("P<") || take("<")) {
      const auto close = text_.find('>', at_);
      if (close == std::string_view::npos) invalid("a name without '>'");
      at_ = close + 1;
    } else if (!take(":")) {
      unsupported("flags of a group");
    }
  }
  auto node = choice(depth + 1);
  if (!take(")")) invalid("a group is not closed");
  return node;
}

}  // namespace skua
