#include "text/json_schema_write.h"

#include <fmt/format.h>

#include <algorithm>

#include "skua/error.h"
#include "text/json_number.h"
#include "text/json_schema.h"
#include "text/pattern.h"

namespace skua {
namespace {

// Automata that are looked through for one that is there already.
constexpr std::size_t kMaxSharedNumbers = 20;

GrammarItem text(std::string s) {
  return GrammarItem::literal(std::move(s));
}

}  // namespace

SchemaWriter::SchemaWriter(GrammarRules& rules, SchemaExpander& expander,
                           const ValueSpelling& spelling)
    : rules_(rules), expander_(expander), spelling_(spelling) {
  if (!spelling.forbidden.empty()) allowed_ = dfa_without(spelling.forbidden);
}

std::int32_t SchemaWriter::write(const SchemaGoal& goal) {
  const auto root = root_rule(goal);
  for (std::size_t i = 0; i < todo_.size(); ++i) {
    const auto next = todo_[i];
    for (const auto& shape : expander_.expand(next))
      write_shape(rule_of_[next], shape, spelling_.object);
  }
  return root;
}

std::int32_t SchemaWriter::root_rule(const SchemaGoal& goal) {
  if (spelling_.outermost == spelling_.object) return rule_of(goal);
  const auto root = rules_.add_rule();
  for (const auto& shape : expander_.expand(goal))
    write_shape(root, shape, spelling_.outermost);
  return root;
}

std::int32_t SchemaWriter::rule_of(const SchemaGoal& goal) {
  const auto found = rule_of_.find(goal);
  if (found != rule_of_.end()) return found->second;
  todo_.push_back(goal);
  return rule_of_.emplace(goal, rules_.add_rule()).first->second;
}

void SchemaWriter::write_shape(std::int32_t rule, const Shape& shape,
                               const ObjectSpelling& object) {
  const auto word = [](std::string_view s) { return text(std::string(s)); };
  switch (shape.type) {
    case JsonType::kNull:
      rules_.add(rule, {word(spelling_.null_word)});
      break;
    case JsonType::kBoolean:
      if (shape.allows_true) rules_.add(rule, {word(spelling_.true_word)});
      if (shape.allows_false) rules_.add(rule, {word(spelling_.false_word)});
      break;
    case JsonType::kNumber:
      rules_.add(rule, {GrammarItem::ref(number_rule(shape))});
      break;
    case JsonType::kString:
      rules_.add(rule,
                 {word(spelling_.quote), GrammarItem::ref(string_rule(shape))});
      break;
    case JsonType::kArray:
      rules_.add(rule, {GrammarItem::ref(array_rule(shape))});
      break;
    case JsonType::kObject:
      rules_.add(rule, {GrammarItem::ref(object_rule(shape, object))});
      break;
  }
}

// Numbers stay within a double: so many digits, and an exponent of two.
std::int32_t SchemaWriter::number_rule(const Shape& shape) {
  static const Dfa short_numbers = compile_pattern(
      fmt::format("-?[0-9]{{1,{0}}}(\\.[0-9]{{1,{0}}})?", kMaxJsonDigits),
      false, "number");
  Dfa dfa = dfa_and(number_language(shape), short_numbers);
  if (shape.shortest) dfa = dfa_and(dfa, shortest_numbers());
  const auto known =
      std::find_if(numbers_.begin(), numbers_.end(),
                   [&](const auto& entry) { return entry.first == dfa; });
  const auto plain = known != numbers_.end()
                         ? known->second
                         : add_dfa(rules_, dfa, Spelling::kPlain);
  if (known == numbers_.end() && numbers_.size() < kMaxSharedNumbers)
    numbers_.emplace_back(std::move(dfa), plain);
  if (shape.language) return plain;
  auto& rule = rules_.named("number");
  if (rule >= 0) return rule;
  const auto exponent =
      rules_.rule_of({GrammarItem::of(CharSet({{'e', 'e'}, {'E', 'E'}})),
                      GrammarItem::of(CharSet({{'+', '+'}, {'-', '-'}}), 0, 1),
                      GrammarItem::of(CharSet({{'0', '9'}}), 1, 2)});
  rule = rules_.rule_of(
      {GrammarItem::ref(plain), GrammarItem::ref(exponent, 0, 1)});
  return rule;
}

// What follows the opening quote.
std::int32_t SchemaWriter::string_rule(const Shape& shape) {
  if (shape.language) return texts_rule(string_language(shape));
  return free_string(shape.min, shape.max);
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

std::int32_t add_json_schema(GrammarRules& rules, const Json& schema,
                             const ValueSpelling& spelling) {
  SchemaExpander expander(schema);
  return SchemaWriter(rules, expander, spelling).write(expander.root_goal());
}

}  // namespace skua
