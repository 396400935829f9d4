#include "text/gbnf.h"

#include <map>
#include <string>

#include "base/quote.h"
#include "skua/error.h"
#include "text/gbnf_text.h"

namespace skua {
namespace {

constexpr int kMaxDepth = 64;
// Each may hang on the one before, which takes quadratic time to match.
constexpr std::size_t kMaxGbnfRules = 2000;
constexpr std::int32_t kMaxRepeat = 10'000;

class GbnfParser {
 public:
  GbnfParser(GrammarRules& rules, std::string_view text)
      : rules_(rules), text_(text) {}

  std::int32_t parse() {
    for (text_.skip_space(); !text_.at_end(); text_.skip_space()) read_rule();
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

  Named& named(std::string_view name) {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    return names_.emplace(name, Named{rules_.add_rule()}).first->second;
  }

  // Whether a rule begins here: a name, then "::=".
  bool at_rule() {
    const auto begin = text_.place();
    while (is_gbnf_name_char(text_.peek())) text_.skip();
    const bool has_name = text_.place() > begin;
    text_.skip_space();
    const bool result = has_name && text_.take("::=");
    text_.go_to(begin);
    return result;
  }

  void read_rule() {
    const auto begin = text_.place();
    Named& rule = named(text_.read_name());
    if (rule.defined) {
      text_.go_to(begin);
      text_.invalid("the rule is defined twice");
    }
    rule.defined = true;
    text_.skip_space();
    if (!text_.take("::=")) text_.invalid("expected '::='");
    read_choices(rule.id, 0);
    if (!text_.at_end() && !at_rule()) text_.invalid("expected a rule");
  }

  void read_choices(std::int32_t rule, int depth) {
    if (rules_.size() > kMaxGbnfRules)
      throw Unsupported(
          "grammar",
          "more than " + std::to_string(kMaxGbnfRules) + " rules and groups");
    if (depth > kMaxDepth)
      text_.invalid("groups nest deeper than " + std::to_string(kMaxDepth));
    do {
      rules_.add(rule, read_sequence(depth));
    } while (text_.take("|"));
  }

  GrammarSequence read_sequence(int depth) {
    GrammarSequence sequence;
    for (text_.skip_space(); !text_.at_end(); text_.skip_space()) {
      if (text_.peek() == '|' || text_.peek() == ')') break;
      if (is_gbnf_name_char(text_.peek()) && text_.peek() != '.' && at_rule())
        break;
      sequence.push_back(read_item(depth));
    }
    return sequence;
  }

  GrammarItem read_item(int depth) {
    GrammarItem item;
    if (text_.peek() == '"') {
      item = GrammarItem::literal(text_.read_text());
    } else if (text_.take("[")) {
      item = GrammarItem::of(text_.read_class());
    } else if (text_.take("(")) {
      item = GrammarItem::ref(rules_.add_rule());
      read_choices(item.rule, depth + 1);
      if (!text_.take(")")) text_.invalid("expected ')'");
    } else if (text_.take(".")) {
      item = GrammarItem::of(CharSet::any());
    } else if (is_gbnf_name_char(text_.peek())) {
      item = GrammarItem::ref(named(text_.read_name()).id);
    } else {
      text_.invalid("expected a text, a class, a group or a name");
    }
    return repeated(std::move(item));
  }

  GrammarItem repeated(GrammarItem item) {
    for (text_.skip_space();; text_.skip_space()) {
      std::int32_t min = 0, max = -1;
      if (text_.take("*")) {
      } else if (text_.take("+")) {
        min = 1;
      } else if (text_.take("?")) {
        max = 1;
      } else if (text_.take("{")) {
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
      text_.skip_space();
      if (text_.peek() < '0' || text_.peek() > '9')
        text_.invalid("expected a count");
      std::int32_t value = 0;
      for (; text_.peek() >= '0' && text_.peek() <= '9'; text_.skip()) {
        value = value * 10 + (text_.peek() - '0');
        if (value > kMaxRepeat)
          text_.invalid("a count over " + std::to_string(kMaxRepeat));
      }
      text_.skip_space();
      return value;
    };
    text_.skip_space();
    min = text_.peek() == ',' ? 0 : number();
    max = min;
    if (text_.take(",")) {
      text_.skip_space();
      max = text_.peek() == '}' ? -1 : number();
    }
    if (!text_.take("}")) text_.invalid("expected '}'");
    if (max >= 0 && max < min) text_.invalid("the counts are out of order");
    if (max == 0) text_.invalid("a count of zero");
  }

  GrammarRules& rules_;
  GbnfText text_;
  std::map<std::string, Named, std::less<>> names_;
};

}  // namespace

std::int32_t parse_gbnf(GrammarRules& rules, std::string_view text) {
  return GbnfParser(rules, text).parse();
}

}  // namespace skua
