#include "text/json_schema_write.h"

#include <fmt/format.h>

#include "skua/error.h"
#include "text/json_number.h"
#include "text/json_schema.h"

namespace skua {
namespace {

// Of strings up to this length each place is a state; longer ones count
// characters while they are matched, where an escape is several.
constexpr std::int64_t kMaxExactLength = 8;

GrammarItem text(std::string s) {
  return GrammarItem::literal(std::move(s));
}

}  // namespace

std::int32_t SchemaWriter::write(const SchemaGoal& goal) {
  const auto root = rule_of(goal);
  for (std::size_t i = 0; i < todo_.size(); ++i) {
    const auto next = todo_[i];
    for (const auto& shape : expander_.expand(next))
      write_shape(rule_of_[next], shape);
  }
  return root;
}

std::int32_t SchemaWriter::rule_of(const SchemaGoal& goal) {
  const auto found = rule_of_.find(goal);
  if (found != rule_of_.end()) return found->second;
  todo_.push_back(goal);
  return rule_of_.emplace(goal, rules_.add_rule()).first->second;
}

void SchemaWriter::write_shape(std::int32_t rule, const Shape& shape) {
  switch (shape.type) {
    case JsonType::kNull:
      rules_.add(rule, {text("null")});
      break;
    case JsonType::kBoolean:
      if (shape.allows_true) rules_.add(rule, {text("true")});
      if (shape.allows_false) rules_.add(rule, {text("false")});
      break;
    case JsonType::kNumber:
      rules_.add(rule, {GrammarItem::ref(number_rule(shape))});
      break;
    case JsonType::kString:
      rules_.add(rule, {text("\""), GrammarItem::ref(string_rule(shape))});
      break;
    case JsonType::kArray:
      rules_.add(rule, {GrammarItem::ref(array_rule(shape))});
      break;
    case JsonType::kObject:
      rules_.add(rule, {GrammarItem::ref(object_rule(shape))});
      break;
  }
}

std::int32_t SchemaWriter::number_rule(const Shape& shape) {
  if (shape.language) {
    const Dfa& dfa = *shape.language;
    return add_dfa(rules_,
                   shape.shortest ? dfa_and(dfa, shortest_numbers()) : dfa,
                   Spelling::kPlain);
  }
  auto& rule = rules_.named("number");
  if (rule >= 0) return rule;
  const CharSet digits({{'0', '9'}});
  const auto number = add_dfa(rules_, all_numbers(), Spelling::kPlain);
  const auto exponent =
      rules_.rule_of({GrammarItem::of(CharSet({{'e', 'e'}, {'E', 'E'}})),
                      GrammarItem::of(CharSet({{'+', '+'}, {'-', '-'}}), 0, 1),
                      GrammarItem::of(digits, 1, -1)});
  rule = rules_.rule_of(
      {GrammarItem::ref(number), GrammarItem::ref(exponent, 0, 1)});
  return rule;
}

// What follows the opening quote.
std::int32_t SchemaWriter::string_rule(const Shape& shape) {
  if (shape.language)
    return add_dfa(rules_, string_language(shape), Spelling::kJson, "\"");
  return free_string(shape.min, shape.max);
}

// What follows a backslash in a JSON string, one character in all.
std::int32_t SchemaWriter::escape_rest() {
  auto& rule = rules_.named("escape_rest");
  if (rule >= 0) return rule;
  rule = rules_.add_rule();
  const auto of = [](std::vector<CharRange> ranges) {
    return GrammarItem::of(CharSet(std::move(ranges)));
  };
  const auto hex = of({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
  const auto d = of({{'d', 'd'}, {'D', 'D'}});
  rules_.add(rule, {of({{'"', '"'},
                        {'\\', '\\'},
                        {'/', '/'},
                        {'b', 'b'},
                        {'f', 'f'},
                        {'n', 'n'},
                        {'r', 'r'},
                        {'t', 't'}})});
  // Surrogates come in pairs.
  rules_.add(rule,
             {text("u"),
              of({{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}}),
              hex, hex, hex});
  rules_.add(rule, {text("u"), d, of({{'0', '7'}}), hex, hex});
  rules_.add(rule,
             {text("u"), d, of({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex, hex,
              text("\\u"), d, of({{'c', 'f'}, {'C', 'F'}}), hex, hex});
  return rule;
}

// min to max characters, then the closing quote.
std::int32_t SchemaWriter::free_string(std::int64_t min, std::int64_t max) {
  auto& known = rules_.named(fmt::format("string {} {}", min, max));
  if (known >= 0) return known;
  const CharSet raw({{0x20, '!'}, {'#', '['}, {']', 0x10FFFF}});
  const auto add_char = [&](std::int32_t from, std::int32_t to) {
    rules_.add(from, {GrammarItem::of(raw), GrammarItem::ref(to)});
    rules_.add(from, {text("\\"), GrammarItem::ref(escape_rest()),
                      GrammarItem::ref(to)});
  };
  known = rules_.add_rule();
  auto state = known;
  for (std::int64_t i = 0; i < min; ++i) {
    const auto next = rules_.add_rule();
    add_char(state, next);
    state = next;
  }
  const auto more = max - min;
  if (max < 0) {
    rules_.add(state, {text("\"")});
    add_char(state, state);
  } else if (more <= kMaxExactLength) {
    for (std::int64_t i = 0; i < more; ++i) {
      const auto next = rules_.add_rule();
      rules_.add(state, {text("\"")});
      add_char(state, next);
      state = next;
    }
    rules_.add(state, {text("\"")});
  } else {
    const auto body = rules_.add_rule(), rest = rules_.add_rule();
    rules_.set_max_chars(body, more);
    for (const auto rule : {body, rest}) {
      rules_.add(rule, {});
      add_char(rule, rest);
    }
    rules_.add(state, {GrammarItem::ref(body), text("\"")});
  }
  return known;
}

std::int32_t SchemaWriter::space() {
  auto& rule = rules_.named("space");
  if (rule >= 0) return rule;
  rule = rules_.add_rule();
  rules_.add(rule, {});
  rules_.add(rule, {text(" ")});
  rules_.add(
      rule, {text("\n"), GrammarItem::of(CharSet({{' ', ' '}, {'\t', '\t'}}), 0,
                                         kMaxJsonIndent)});
  return rule;
}

std::int32_t add_json_schema(GrammarRules& rules, const Json& schema) {
  SchemaExpander expander(schema);
  return SchemaWriter(rules, expander).write(expander.root_goal());
}

}  // namespace skua
