#include <algorithm>

#include "text/json_schema_expand.h"
#include "text/utf8.h"

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

// An object in which `name` is under `goal`, should it be there.
Shape with_property(const std::string& name, SchemaGoal goal) {
  Shape shape = any_of(JsonType::kObject);
  PropertyGroup group;
  group.properties.emplace_back(name, std::move(goal));
  group.annotates = false;
  shape.properties.push_back(std::move(group));
  return shape;
}

// An object with some property of these names under `goal`.
Shape with_some(Dfa names, SchemaGoal goal) {
  Shape shape = any_of(JsonType::kObject);
  shape.demands.push_back({language_of(std::move(names)), std::move(goal)});
  return shape;
}

}  // namespace

bool allows_all(const Json& schema) {
  return schema.is_object() ? schema.empty() : schema == true;
}

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
    if (!positive) {
      Dfa others;
      for (const auto& name : expand(value, false))
        if (name.type == JsonType::kString)
          others = dfa_or(others, string_language(name));
      return Shapes{with_some(std::move(others), {})};
    }
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

// The names that neither `properties` nor `patternProperties` looks at.
Dfa SchemaExpander::other_names(const PropertyGroup& group) {
  std::vector<std::u32string> words;
  for (const auto& [name, goal] : group.properties)
    words.push_back(to_utf32(name));
  Dfa names = dfa_any();
  if (!words.empty()) names = dfa_minus(names, dfa_words(words));
  for (const auto& [text, goal] : group.patterns)
    names = dfa_minus(names, pattern(text));
  return names;
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
      const SchemaGoal goal = {{&member, false}};
      if (key[1] == 'a') {
        broken = either(broken, {with_some(pattern(name), goal)});
        continue;
      }
      Shape shape = with_property(name, goal);
      shape.required.push_back(name);
      broken = either(broken, {shape});
    }
  }
  const auto rest = schema.find("additionalProperties");
  if (rest != schema.end()) {
    group.rest = SchemaGoal{{&*rest}};
    if (!positive && !allows_all(*rest))
      broken =
          either(broken, {with_some(other_names(group), {{&*rest, false}})});
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
    shape.counts.push_back({.goal = {{&value}},
                            .min = least,
                            .max = most,
                            .from = 0,
                            .annotates = positive});
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

}  // namespace skua
