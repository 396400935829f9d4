#include <algorithm>
#include <deque>
#include <functional>

#include "skua/error.h"
#include "text/json_number.h"
#include "text/json_schema_write.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::size_t kMaxUnique = 10;  // values to choose from
constexpr std::size_t kMaxWordLength = 1000;
constexpr std::size_t kMaxCounts = 4;  // contains of one array

GrammarItem text(std::string s) {
  return GrammarItem::literal(std::move(s));
}

SchemaGoal item_goal(const Shape& shape, std::size_t index) {
  SchemaGoal goal;
  for (const auto& group : shape.items) {
    if (index < group.prefix.size()) {
      goal = goal & group.prefix[index];
    } else if (group.rest) {
      goal = goal & *group.rest;
    }
  }
  return goal;
}

// How many items at the start are not all alike.
std::size_t n_special(const Shape& shape) {
  std::size_t n = 0;
  for (const auto& group : shape.items) n = std::max(n, group.prefix.size());
  for (const auto& count : shape.counts) n = std::max(n, count.from);
  return n;
}

SchemaGoal negated(const SchemaGoal& goal) {
  // A goal of contains is one schema.
  return {{goal.at(0).schema, !goal.at(0).positive}};
}

// The texts of an automaton without loops, should they be few.
bool few_words(const Dfa& dfa, std::int32_t state, std::u32string& word,
               std::vector<std::u32string>& words) {
  if (word.size() > kMaxWordLength || words.size() > kMaxUnique) return false;
  if (dfa.states[state].accepts) words.push_back(word);
  for (const auto& edge : dfa.states[state].edges) {
    if (edge.range.high - edge.range.low > kMaxUnique) return false;
    for (char32_t c = edge.range.low; c <= edge.range.high; ++c) {
      word.push_back(c);
      if (!few_words(dfa, edge.target, word, words)) return false;
      word.pop_back();
    }
  }
  return words.size() <= kMaxUnique;
}

}  // namespace

// Between the last of n members and the bracket. The blank behind the opening
// one is the only one of an empty value.
GrammarSequence SchemaWriter::before_end(std::int64_t n) {
  return n > 0 ? GrammarSequence{GrammarItem::ref(space())} : GrammarSequence{};
}

std::int32_t SchemaWriter::array_rule(const Shape& shape) {
  if (!shape.unique_at.empty() && (shape.max < 0 || shape.max > 1))
    return unique_array(shape);
  if (shape.counts.size() > kMaxCounts)
    throw Unsupported("schema", "more than " + std::to_string(kMaxCounts) +
                                    " 'contains' for one array");
  const auto special = static_cast<std::int64_t>(n_special(shape));
  const auto last = std::max<std::int64_t>({special, shape.min, 1});
  // A state: the items so far, and how many of them each goal has counted.
  using State = std::pair<std::int64_t, std::vector<std::int64_t>>;
  std::map<State, std::int32_t> ids;
  std::deque<State> todo;  // its elements stay where they are
  const auto id_of = [&](State state) {
    if (shape.max < 0) state.first = std::min(state.first, last);
    for (std::size_t k = 0; k < shape.counts.size(); ++k)
      if (shape.counts[k].max < 0)
        state.second[k] = std::min(state.second[k], shape.counts[k].min);
    const auto found = ids.find(state);
    if (found != ids.end()) return found->second;
    todo.push_back(state);
    return ids.emplace(state, rules_.add_rule()).first->second;
  };
  const auto start = id_of({0, std::vector<std::int64_t>(shape.counts.size())});
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const State& state = todo[i];
    const auto rule = ids[state];
    bool may_end = state.first >= shape.min;
    for (std::size_t k = 0; k < shape.counts.size(); ++k)
      may_end = may_end && state.second[k] >= shape.counts[k].min;
    if (may_end) rules_.add(rule, before_end(state.first));
    if (shape.max >= 0 && state.first >= shape.max) continue;
    // Each goal counts the next item or does not.
    const auto index = static_cast<std::size_t>(state.first);
    std::vector<std::pair<SchemaGoal, State>> ways = {
        {item_goal(shape, std::min(index, n_special(shape))),
         {state.first + 1, state.second}}};
    for (std::size_t k = 0; k < shape.counts.size(); ++k) {
      const auto& count = shape.counts[k];
      if (index < count.from) continue;
      const bool satisfied = count.max < 0 && state.second[k] >= count.min;
      if (satisfied) continue;
      std::vector<std::pair<SchemaGoal, State>> more;
      for (const auto& [goal, next] : ways) {
        more.emplace_back(count.max < 0 ? goal : goal & negated(count.goal),
                          next);
        if (count.max >= 0 && state.second[k] >= count.max) continue;
        more.emplace_back(goal & count.goal, next);
        ++more.back().second.second[k];
      }
      ways = std::move(more);
    }
    for (const auto& [goal, next] : ways) {
      GrammarSequence sequence;
      if (state.first > 0) {
        sequence.push_back(text(","));
        sequence.push_back(GrammarItem::ref(space()));
      }
      sequence.push_back(GrammarItem::ref(rule_of(goal)));
      sequence.push_back(GrammarItem::ref(id_of(next)));
      rules_.add(rule, std::move(sequence));
    }
  }
  return rules_.rule_of({text("["), GrammarItem::ref(space()),
                         GrammarItem::ref(start), text("]")});
}

std::optional<std::vector<std::string>> SchemaWriter::few_values(
    const SchemaGoal& goal) {
  std::vector<std::string> values;
  for (const auto& shape : expander_.expand(goal)) {
    if (shape.type == JsonType::kNull) values.emplace_back(spelling_.null_word);
    if (shape.type == JsonType::kBoolean) {
      if (shape.allows_true) values.emplace_back(spelling_.true_word);
      if (shape.allows_false) values.emplace_back(spelling_.false_word);
    }
    if (shape.type == JsonType::kArray || shape.type == JsonType::kObject)
      return std::nullopt;
    if (shape.type != JsonType::kNumber && shape.type != JsonType::kString)
      continue;
    if (!shape.language) return std::nullopt;
    const bool is_number = shape.type == JsonType::kNumber;
    const Dfa dfa = is_number ? dfa_and(*shape.language, shortest_numbers())
                              : allowed_texts(string_language(shape));
    std::u32string word;
    std::vector<std::u32string> words;
    if (!dfa.empty() && !few_words(dfa, 0, word, words)) return std::nullopt;
    for (const auto& found : words) {
      std::string utf8;
      for (const char32_t c : found) append_utf8(utf8, c);
      values.push_back(is_number ? utf8 : quoted(utf8));
    }
  }
  if (values.size() > kMaxUnique) return std::nullopt;
  return values;
}

// Items that differ can be told apart where there are few to choose from: a
// state is the items so far and the set of values taken.
std::int32_t SchemaWriter::unique_array(const Shape& shape) {
  const char* too_many =
      "the items have more than a few values, expected an enum or another list "
      "of at most 10";
  if (!shape.counts.empty())
    throw Unsupported(shape.unique_at, "it stands beside 'contains'");
  const std::size_t special = n_special(shape);
  std::vector<std::string> values;
  std::vector<std::vector<std::size_t>> choices;  // by index
  for (std::size_t i = 0; i <= special; ++i) {
    const auto found = few_values(item_goal(shape, i));
    if (!found) throw Unsupported(shape.unique_at, too_many);
    choices.emplace_back();
    for (const auto& value : *found) {
      const auto at = std::find(values.begin(), values.end(), value);
      choices.back().push_back(at - values.begin());
      if (at == values.end()) values.push_back(value);
    }
  }
  if (values.size() > kMaxUnique) throw Unsupported(shape.unique_at, too_many);

  std::map<std::size_t, std::int32_t> ids;  // by the set taken, as bits
  std::vector<std::size_t> todo;
  const auto id_of = [&](std::size_t taken) {
    const auto found = ids.find(taken);
    if (found != ids.end()) return found->second;
    todo.push_back(taken);
    return ids.emplace(taken, rules_.add_rule()).first->second;
  };
  const auto start = id_of(0);
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const std::size_t taken = todo[i];
    const auto rule = ids[taken];
    std::size_t n = 0;
    for (std::size_t bits = taken; bits > 0; bits &= bits - 1) ++n;
    if (static_cast<std::int64_t>(n) >= shape.min)
      rules_.add(rule, before_end(static_cast<std::int64_t>(n)));
    if (shape.max >= 0 && static_cast<std::int64_t>(n) >= shape.max) continue;
    for (const auto value : choices[std::min(n, special)]) {
      const std::size_t bit = std::size_t{1} << value;
      if (taken & bit) continue;
      GrammarSequence sequence;
      if (n > 0) {
        sequence.push_back(text(","));
        sequence.push_back(GrammarItem::ref(space()));
      }
      sequence.push_back(text(values[value]));
      sequence.push_back(GrammarItem::ref(id_of(taken | bit)));
      rules_.add(rule, std::move(sequence));
    }
  }
  return rules_.rule_of({text("["), GrammarItem::ref(space()),
                         GrammarItem::ref(start), text("]")});
}

}  // namespace skua
