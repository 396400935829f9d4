#include "text/json_schema_write.h"

#include <fmt/format.h>

#include <algorithm>

#include "skua/error.h"
#include "text/json_number.h"
#include "text/json_schema.h"
#include "text/pattern.h"

namespace skua {
namespace {

// Of strings up to this length each place is a state; longer ones count
// characters while they are matched, where an escape is several.
constexpr std::int64_t kMaxExactLength = 8;

// Automata that are looked through for one that is there already.
constexpr std::size_t kMaxSharedNumbers = 20;

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
  const auto more = max - min;
  const bool counted = max >= 0 && more > kMaxExactLength;
  // A counted rule holds all characters: it is slow to enter one later on.
  const auto body = counted ? rules_.add_rule() : known;
  auto state = body;
  for (std::int64_t i = 0; i < min; ++i) {
    const auto next = rules_.add_rule();
    add_char(state, next);
    state = next;
  }
  if (counted) {
    const auto rest = rules_.add_rule();
    for (const auto rule : {state, rest}) {
      rules_.add(rule, {});
      add_char(rule, rest);
    }
    rules_.set_max_chars(body, max);
    rules_.add(known, {GrammarItem::ref(body), text("\"")});
    return known;
  }
  for (std::int64_t i = 0; i < (max < 0 ? 0 : more); ++i) {
    const auto next = rules_.add_rule();
    rules_.add(state, {text("\"")});
    add_char(state, next);
    state = next;
  }
  rules_.add(state, {text("\"")});
  if (max < 0) add_char(state, state);
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
