#include <algorithm>

#include "skua/error.h"
#include "text/json_schema_write.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::size_t kMaxPatterns = 8;

}  // namespace

bool is_nothing(const SchemaGoal& goal) {
  return std::any_of(goal.begin(), goal.end(), [](const auto& literal) {
    return literal.schema->is_boolean() &&
           literal.schema->template get<bool>() != literal.positive;
  });
}

bool is_anything(const SchemaGoal& goal) {
  return std::all_of(goal.begin(), goal.end(), [](const auto& literal) {
    return literal.schema->is_boolean() &&
           literal.schema->template get<bool>() == literal.positive;
  });
}

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
    if (!is_nothing(goal) && !region.names.empty())
      result.push_back({std::move(region.names), std::move(goal)});
  }
  return result;
}

}  // namespace skua
