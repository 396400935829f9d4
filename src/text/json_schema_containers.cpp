#include <algorithm>

#include "text/json_schema_expand.h"

namespace skua {
namespace {

Shapes constrained(const Shape& shape, bool positive) {
  Shapes shapes = positive ? other_types(shape.type) : Shapes{};
  return unite(std::move(shapes), {shape}, true);
}

const Json& false_schema() {
  static const Json schema = false;
  return schema;
}

bool allows_all(const Json& schema) {
  return schema.is_object() ? schema.empty() : schema == true;
}

// An object in which `name` is under `goal`, should it be there.
Shape with_property(const std::string& name, SchemaGoal goal) {
  Shape shape = any_of(JsonType::kObject);
  PropertyGroup group;
  group.properties.emplace_back(name, std::move(goal));
  group.annotates = false;
  shape.properties.push_back(std::move(group));
  return shape;
}

}  // namespace

std::optional<Shapes> SchemaExpander::container(const Json& schema,
                                                const std::string& key,
                                                const Json& value,
                                                bool positive) {
  if (key == "properties" || key == "patternProperties" ||
      key == "additionalProperties")
    return property_group(schema, positive);
  if (key == "required")
    return required(schema, array(schema, key, value), positive);
  if (key == "propertyNames") {
    if (!positive) unsupported(schema, key, "it stands inside a 'not'");
    Shape shape = any_of(JsonType::kObject);
    shape.names.push_back({{&value}});
    return constrained(shape, true);
  }
  const bool draft7 = document_.place(schema).draft7;
  if (key == "items" || (key == "prefixItems" && !draft7))
    return item_group(schema, positive);
  if (key == "contains") return contains(schema, value, positive);
  if (key == "uniqueItems") {
    if (!value.is_boolean()) wrong_type(schema, key, "a boolean");
    if (!value.get<bool>()) return positive ? any_shapes() : Shapes{};
    if (!positive) unsupported(schema, key, "it stands inside a 'not'");
    Shape shape = any_of(JsonType::kArray);
    shape.unique_at = document_.where(schema, key);
    return constrained(shape, true);
  }
  return std::nullopt;
}

Shapes SchemaExpander::required(const Json& schema, const Json& value,
                                bool positive) {
  Shape shape = any_of(JsonType::kObject);
  Shapes absent;
  for (const auto& name : value) {
    shape.required.push_back(text(schema, "required", name));
    absent = either(
        absent, {with_property(shape.required.back(), {{&false_schema()}})});
  }
  return positive ? constrained(shape, true) : absent;
}

Shapes SchemaExpander::property_group(const Json& schema, bool positive) {
  PropertyGroup group;
  Shapes broken;  // one property or other is not as it must be
  for (const char* key : {"properties", "patternProperties"}) {
    if (!schema.contains(key)) continue;
    for (const auto& [name, member] :
         object(schema, key, schema[key]).items()) {
      auto& list = key[1] == 'r' ? group.properties : group.patterns;
      list.emplace_back(name, SchemaGoal{{&member}});
      if (key[1] == 'a')
        pattern(name,
                document_.where(schema, key));  // refuses what is no pattern
      if (positive || allows_all(member)) continue;
      if (key[1] == 'a') unsupported(schema, key, "it stands inside a 'not'");
      Shape shape = with_property(name, {{&member, false}});
      shape.required.push_back(name);
      broken = either(broken, {shape});
    }
  }
  const auto rest = schema.find("additionalProperties");
  if (rest != schema.end()) {
    group.rest = SchemaGoal{{&*rest}};
    if (!positive && !allows_all(*rest))
      unsupported(schema, "additionalProperties", "it stands inside a 'not'");
  }
  if (!positive) return broken;
  Shape shape = any_of(JsonType::kObject);
  shape.properties.push_back(std::move(group));
  return constrained(shape, true);
}

Shapes SchemaExpander::item_group(const Json& schema, bool positive) {
  // In 2020-12 prefixItems and items, before that items and additionalItems.
  const auto prefix_items = schema.find("prefixItems");
  const auto items = schema.find("items");
  const bool old = items != schema.end() && items->is_array();
  const bool draft7 = document_.place(schema).draft7;
  const Json* prefix = old ? &*items : nullptr;
  if (!old && !draft7 && prefix_items != schema.end())
    prefix = &array(schema, "prefixItems", *prefix_items);
  const Json* rest = !old && items != schema.end() ? &*items : nullptr;
  if (old && schema.contains("additionalItems"))
    rest = &schema["additionalItems"];

  ItemGroup group;
  Shapes broken;
  if (prefix) {
    for (const auto& member : *prefix) {
      group.prefix.push_back({{&member}});
      if (positive || allows_all(member)) continue;
      Shape shape = any_of(JsonType::kArray);
      ItemGroup one;
      one.prefix.resize(group.prefix.size() - 1);
      one.prefix.push_back({{&member, false}});
      one.annotates = false;
      shape.min = static_cast<std::int64_t>(group.prefix.size());
      shape.items.push_back(std::move(one));
      broken = either(broken, {shape});
    }
  }
  if (rest) {
    group.rest = SchemaGoal{{rest}};
    if (!positive && !allows_all(*rest)) {
      Shape shape = any_of(JsonType::kArray);
      shape.counts.push_back({{{rest, false}}, 1, -1, group.prefix.size()});
      broken = either(broken, {shape});
    }
  }
  if (!positive) return broken;
  Shape shape = any_of(JsonType::kArray);
  shape.items.push_back(std::move(group));
  return constrained(shape, true);
}

Shapes SchemaExpander::contains(const Json& schema, const Json& value,
                                bool positive) {
  const bool draft7 = document_.place(schema).draft7;
  std::int64_t min = 1, max = -1;
  if (!draft7 && schema.contains("minContains"))
    min = count(schema, "minContains", schema["minContains"]);
  if (!draft7 && schema.contains("maxContains"))
    max = count(schema, "maxContains", schema["maxContains"]);
  const auto counted = [&](std::int64_t least, std::int64_t most) {
    Shape shape = any_of(JsonType::kArray);
    shape.counts.push_back({{{&value}}, least, most, 0});
    return shape;
  };
  if (positive) {
    if (max >= 0 && max < min) return other_types(JsonType::kArray);
    return constrained(counted(min, max), true);
  }
  Shapes broken;
  if (min > 0) broken.push_back(counted(0, min - 1));
  if (max >= 0) broken.push_back(counted(max + 1, -1));
  return broken;
}

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

Shapes SchemaExpander::unevaluated_items(const Json& schema, Shapes shapes) {
  const Json& value = schema["unevaluatedItems"];
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
    if (!all && !shape.counts.empty() && !allows_all(value))
      unsupported(schema, "unevaluatedItems", "it stands beside 'contains'");
    rest.rest = SchemaGoal{};
    if (!all) rest.rest = SchemaGoal{{&value}};
    shape.items.push_back(std::move(rest));
  }
  return shapes;
}

}  // namespace skua
