#include "skua/error.h"
#include "text/json_schema_expand.h"

namespace skua {
namespace {

constexpr int kDisjointDepth = 3;

}  // namespace

std::optional<Shapes> SchemaExpander::applicator(const Json& schema,
                                                 const std::string& key,
                                                 const Json& value,
                                                 bool positive) {
  const bool draft7 = document_.place(schema).draft7;
  if (key == "allOf") return all_of(array(schema, key, value), positive);
  if (key == "anyOf") return any_of_list(array(schema, key, value), positive);
  if (key == "oneOf")
    return one_of(schema, array(schema, key, value), positive);
  if (key == "not") return without_annotations(expand(value, !positive));
  if (key == "if") return conditional(schema, positive);
  if (key == "$ref")
    return expand(document_.resolve(schema, key, text(schema, key, value)),
                  positive);
  if (key == "dependencies") return dependencies(schema, key, value, positive);
  if (draft7) return std::nullopt;
  if (key == "$dynamicRef")
    return expand(document_.resolve_dynamic(schema, text(schema, key, value)),
                  positive);
  if (key == "$recursiveRef") unsupported(schema, key, "a keyword of 2019-09");
  if (key == "dependentRequired" || key == "dependentSchemas")
    return dependencies(schema, key, value, positive);
  return std::nullopt;
}

Shapes SchemaExpander::all_of(const Json& list, bool positive) {
  Shapes result = positive ? any_shapes() : Shapes{};
  for (const auto& member : list)
    result = positive ? intersect(result, expand(member, true))
                      : either(result, expand(member, false));
  return result;
}

Shapes SchemaExpander::any_of_list(const Json& list, bool positive) {
  Shapes result = positive ? Shapes{} : any_shapes();
  for (const auto& member : list)
    result = positive ? either(result, expand(member, true))
                      : intersect(result, expand(member, false));
  return result;
}

// Each member where none of the others holds. Those that cannot hold beside
// it need not be ruled out.
Shapes SchemaExpander::one_of(const Json& schema, const Json& list,
                              bool positive) {
  if (!positive) {
    // None holds, or two do.
    Shapes result = any_of_list(list, false);
    for (std::size_t i = 0; i < list.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        result = either(
            result, intersect(expand(list[i], true), expand(list[j], true)));
    return result;
  }
  Shapes result;
  for (const auto& member : list) {
    Shapes alone = expand(member, true);
    for (const auto& other : list) {
      if (&other == &member) continue;
      if (is_empty(SchemaGoal{{&member}} & SchemaGoal{{&other}},
                   kDisjointDepth))
        continue;
      try {
        alone = intersect(alone, expand(other, false));
      } catch (const Unsupported& error) {
        unsupported(
            schema, "oneOf",
            std::string("members that may hold together: ") + error.what());
      }
    }
    result = either(result, alone);
  }
  return result;
}

Shapes SchemaExpander::conditional(const Json& schema, bool positive) {
  const bool has_then = schema.contains("then");
  const bool has_else = schema.contains("else");
  if (!has_then && !has_else && !keep_covered_)
    return positive ? any_shapes() : Shapes{};
  const auto branch = [&](bool condition, const char* key) {
    Shapes rest = positive ? any_shapes() : Shapes{};
    if (schema.contains(key)) rest = expand(schema[key], positive);
    return rest.empty() ? rest
                        : intersect(expand(schema["if"], condition), rest);
  };
  return either(branch(true, "then"), branch(false, "else"));
}

// For each name: it is absent, or what it asks for holds.
Shapes SchemaExpander::dependencies(const Json& schema, const std::string& key,
                                    const Json& value, bool positive) {
  static const Json kFalse = false;
  Shapes result = positive ? any_shapes() : Shapes{};
  for (const auto& [name, needed] : object(schema, key, value).items()) {
    Shape present = any_of(JsonType::kObject);
    present.required.push_back(name);
    Shape absent = any_of(JsonType::kObject);
    absent.properties.push_back({.properties = {{name, {{&kFalse}}}},
                                 .patterns = {},
                                 .rest = {},
                                 .annotates = false});
    const Shapes rule = needed.is_array() ? required(schema, needed, positive)
                                          : expand(needed, positive);
    if (positive) {
      Shapes either_way = other_types(JsonType::kObject);
      either_way = either(either_way, intersect({present}, rule));
      result = intersect(result, either(either_way, {absent}));
    } else {
      result = either(result, intersect({present}, rule));
    }
  }
  return result;
}

}  // namespace skua
