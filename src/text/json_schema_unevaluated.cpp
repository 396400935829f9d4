#include "text/json_schema_expand.h"

namespace skua {

// The properties that no group has looked at are under the keyword.
Shapes SchemaExpander::unevaluated_properties(const Json& schema,
                                              Shapes shapes) {
  for (auto& shape : shapes) {
    if (shape.type != JsonType::kObject) continue;
    PropertyGroup rest;
    bool all = false;
    for (const auto& group : shape.properties) {
      if (!group.annotates) continue;
      all = all || group.rest;
      for (const auto& [name, goal] : group.properties)
        rest.properties.emplace_back(name, SchemaGoal{});
      for (const auto& [text, goal] : group.patterns)
        rest.patterns.emplace_back(text, SchemaGoal{});
    }
    rest.rest = SchemaGoal{};
    if (!all) rest.rest = SchemaGoal{{&schema["unevaluatedProperties"]}};
    shape.properties.push_back(std::move(rest));
  }
  return shapes;
}

// The schema of what is under one of some schemas or under a keyword.
const Json& SchemaExpander::any_of_kept(const SchemaGoal& some,
                                        const Json& schema,
                                        const std::string& key) {
  const Json& value = schema[key];
  if (some.empty() || allows_all(value)) return value;
  const Json*& known = unions_[{some, &value}];
  if (!known) {
    Json list = Json::array({value});
    for (const auto& [one, positive] : some) list.push_back(*one);
    known = &document_.keep({{"anyOf", std::move(list)}}, schema);
  }
  return *known;
}

Shapes SchemaExpander::unevaluated_items(const Json& schema, Shapes shapes) {
  for (auto& shape : shapes) {
    if (shape.type != JsonType::kArray) continue;
    ItemGroup rest;
    bool all = false;
    for (const auto& group : shape.items) {
      if (!group.annotates) continue;
      all = all || group.rest;
      if (group.prefix.size() > rest.prefix.size())
        rest.prefix.resize(group.prefix.size());
    }
    // What `contains` has found is evaluated too, wherever it stands.
    SchemaGoal found;
    for (const auto& count : shape.counts)
      if (count.annotates) found = found & count.goal;
    rest.rest = SchemaGoal{};
    if (!all)
      rest.rest = SchemaGoal{{&any_of_kept(found, schema, "unevaluatedItems")}};
    shape.items.push_back(std::move(rest));
  }
  return shapes;
}

}  // namespace skua
