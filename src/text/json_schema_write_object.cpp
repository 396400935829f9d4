#include <algorithm>

#include "skua/error.h"
#include "text/json_schema_write.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::size_t kMaxPatterns = 8;

GrammarItem text(std::string s) {
  return GrammarItem::literal(std::move(s));
}

std::u32string to_utf32(const std::string& s) {
  std::u32string out;
  for (std::size_t at = 0; at < s.size();) {
    const auto c = utf8_at(s, at);
    out += c.code;
    at += c.n;
  }
  return out;
}

bool is_false(const SchemaGoal& goal) {
  return std::any_of(goal.begin(), goal.end(), [](const auto& literal) {
    return literal.schema->is_boolean() &&
           literal.schema->template get<bool>() != literal.positive;
  });
}

}  // namespace

SchemaGoal SchemaWriter::property_goal(const Shape& shape,
                                       const std::string& name) {
  SchemaGoal goal;
  for (const auto& group : shape.properties) {
    bool looked_at = false;
    for (const auto& [property, more] : group.properties) {
      if (property != name) continue;
      goal = goal & more;
      looked_at = true;
    }
    for (const auto& [pattern, more] : group.patterns) {
      if (!dfa_accepts(expander_.pattern(pattern), to_utf32(name))) continue;
      goal = goal & more;
      looked_at = true;
    }
    if (!looked_at && group.rest) goal = goal & *group.rest;
  }
  return goal;
}

// The names that `propertyNames` allows.
Language SchemaWriter::property_names(const Shape& shape) {
  if (shape.names.empty()) return nullptr;
  SchemaGoal goal;
  for (const auto& more : shape.names) goal = goal & more;
  Dfa names;
  for (const auto& name : expander_.expand(goal))
    if (name.type == JsonType::kString)
      names = dfa_or(names, string_language(name));
  return language_of(std::move(names));
}

std::vector<SchemaWriter::Property> SchemaWriter::declared(
    const Shape& shape, const Language& names) {
  std::vector<Property> result;
  std::map<std::string, std::size_t> known;
  const auto add = [&](const std::string& name, bool required) {
    const auto [found, is_new] = known.try_emplace(name, result.size());
    if (is_new) {
      static const Json kFalse = false;
      auto goal = property_goal(shape, name);
      if (names && !dfa_accepts(*names, to_utf32(name))) goal = {{&kFalse}};
      result.push_back({name, std::move(goal)});
    }
    result[found->second].required |= required;
  };
  for (const auto& group : shape.properties)
    for (const auto& [name, goal] : group.properties) add(name, false);
  for (const auto& name : shape.required) add(name, true);
  return result;
}

// The other names, parted by the patterns that they match.
std::vector<SchemaWriter::OpenNames> SchemaWriter::open_names(
    const Shape& shape, const std::vector<Property>& declared,
    const Language& names) {
  std::vector<std::u32string> taken;
  for (const auto& property : declared)
    taken.push_back(to_utf32(property.name));
  Dfa rest = names ? *names : dfa_any();
  if (!taken.empty()) rest = dfa_minus(rest, dfa_words(taken));

  struct Region {
    Dfa names;
    std::vector<bool> matches;  // by pattern
  };
  std::vector<Region> regions = {{rest, {}}};
  std::vector<std::string> patterns;
  for (const auto& group : shape.properties)
    for (const auto& [pattern, goal] : group.patterns)
      if (std::find(patterns.begin(), patterns.end(), pattern) ==
          patterns.end())
        patterns.push_back(pattern);
  if (patterns.size() > kMaxPatterns)
    throw Unsupported("schema patternProperties",
                      "more than " + std::to_string(kMaxPatterns) +
                          " patterns for one object");
  for (const auto& pattern : patterns) {
    std::vector<Region> parts;
    for (auto& region : regions) {
      Region in = {dfa_and(region.names, expander_.pattern(pattern)),
                   region.matches};
      Region out = {dfa_minus(region.names, expander_.pattern(pattern)),
                    std::move(region.matches)};
      in.matches.push_back(true);
      out.matches.push_back(false);
      if (!in.names.empty()) parts.push_back(std::move(in));
      if (!out.names.empty()) parts.push_back(std::move(out));
    }
    regions = std::move(parts);
  }

  std::vector<OpenNames> result;
  for (auto& region : regions) {
    SchemaGoal goal;
    for (const auto& group : shape.properties) {
      bool looked_at = false;
      for (const auto& [pattern, more] : group.patterns) {
        const auto index =
            std::find(patterns.begin(), patterns.end(), pattern) -
            patterns.begin();
        if (!region.matches[index]) continue;
        goal = goal & more;
        looked_at = true;
      }
      if (!looked_at && group.rest) goal = goal & *group.rest;
    }
    if (!is_false(goal) && !region.names.empty())
      result.push_back({std::move(region.names), std::move(goal)});
  }
  return result;
}

// Any of the open names with its value; -1 where there are none.
std::int32_t SchemaWriter::pair_rule(const std::vector<OpenNames>& open) {
  if (open.empty()) return -1;
  const auto rule = rules_.add_rule();
  for (const auto& [names, goal] : open) {
    const auto name = dfa_is_any(names)
                          ? free_string(0, -1)
                          : add_dfa(rules_, names, Spelling::kJson, "\"");
    rules_.add(rule,
               {text("\""), GrammarItem::ref(name), text(":"),
                GrammarItem::ref(space()), GrammarItem::ref(rule_of(goal))});
  }
  return rule;
}

std::int32_t SchemaWriter::object_rule(const Shape& shape) {
  const auto names = property_names(shape);
  const auto properties = declared(shape, names);
  const auto pair = pair_rule(open_names(shape, properties, names));
  const auto n = static_cast<std::int64_t>(properties.size());

  // A state: the declared properties passed, those written and the different
  // ones among them (each as far as a bound asks), and whether an open one is
  // there. As open names may repeat, all of them count as one that differs.
  struct State {
    std::int64_t passed = 0, written = 0, distinct = 0;
    bool has_open = false;
    auto operator<=>(const State&) const = default;
  };
  std::map<State, std::int32_t> ids;
  std::vector<State> todo;
  const auto id_of = [&](State state) {
    if (shape.max < 0) state.written = std::min<std::int64_t>(state.written, 1);
    state.distinct = std::min(state.distinct, shape.min);
    const auto found = ids.find(state);
    if (found != ids.end()) return found->second;
    todo.push_back(state);
    return ids.emplace(state, rules_.add_rule()).first->second;
  };
  const auto start = id_of({});
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const State state = todo[i];
    const auto rule = ids[state];
    const bool has_room = shape.max < 0 || state.written < shape.max;
    GrammarSequence comma;
    if (state.written > 0) comma = {text(","), GrammarItem::ref(space())};
    if (state.passed == n) {
      if (state.distinct >= shape.min)
        rules_.add(rule, before_end(state.written));
      if (pair < 0 || !has_room) continue;
      auto sequence = comma;
      sequence.push_back(GrammarItem::ref(pair));
      sequence.push_back(GrammarItem::ref(
          id_of({n, state.written + 1,
                 state.distinct + (state.has_open ? 0 : 1), true})));
      rules_.add(rule, std::move(sequence));
      continue;
    }
    const auto& property = properties[state.passed];
    if (has_room && !is_false(property.goal)) {
      auto sequence = comma;
      sequence.push_back(text(Json(property.name).dump() + ":"));
      sequence.push_back(GrammarItem::ref(space()));
      sequence.push_back(GrammarItem::ref(rule_of(property.goal)));
      sequence.push_back(GrammarItem::ref(
          id_of({state.passed + 1, state.written + 1, state.distinct + 1})));
      rules_.add(rule, std::move(sequence));
    }
    if (!property.required)
      rules_.add(rule, {GrammarItem::ref(id_of({state.passed + 1, state.written,
                                                state.distinct}))});
  }
  return rules_.rule_of({text("{"), GrammarItem::ref(space()),
                         GrammarItem::ref(start), text("}")});
}

}  // namespace skua
