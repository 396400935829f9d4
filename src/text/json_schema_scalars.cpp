#include <algorithm>

#include "text/json_number.h"
#include "text/json_schema_expand.h"
#include "text/utf8.h"

namespace skua {
namespace {

Shape of_language(JsonType type, Dfa dfa) {
  Shape shape = any_of(type);
  shape.language = language_of(std::move(dfa));
  return shape;
}

// A keyword for one type holds for all values of others.
Shapes constrained(const Shape& shape, bool positive) {
  Shapes shapes = positive ? other_types(shape.type) : Shapes{};
  return unite(std::move(shapes), {shape}, true);
}

Shapes numbers(Dfa dfa, bool positive) {
  if (!positive) dfa = dfa_minus(all_numbers(), dfa);
  return constrained(of_language(JsonType::kNumber, std::move(dfa)), positive);
}

Shapes strings(const Dfa& dfa, bool positive) {
  return constrained(
      of_language(JsonType::kString, positive ? dfa : dfa_not(dfa)), positive);
}

// At least, or at most, so many characters, items or properties.
Shapes bounded(JsonType type, bool is_min, std::int64_t bound, bool positive) {
  Shape shape = any_of(type);
  if (positive) {
    (is_min ? shape.min : shape.max) = bound;
  } else if (is_min) {
    if (bound == 0) return {};
    shape.max = bound - 1;
  } else {
    shape.min = bound + 1;
  }
  return constrained(shape, positive);
}

}  // namespace

Shapes other_types(JsonType type) {
  Shapes shapes = any_shapes();
  std::erase_if(shapes, [&](const Shape& s) { return s.type == type; });
  return shapes;
}

std::optional<Shapes> SchemaExpander::scalar(const Json& schema,
                                             const std::string& key,
                                             const Json& value, bool positive) {
  if (key == "type") return type(schema, value, positive);
  if (key == "enum") return values(schema, array(schema, key, value), positive);
  if (key == "const") return one_value(schema, value, positive);
  if (key == "pattern")
    return strings(
        pattern(text(schema, key, value), document_.where(schema, key)),
        positive);
  if (key == "format") {
    const char* known = format_pattern(text(schema, key, value));
    if (!known) return std::nullopt;
    return strings(pattern(known), positive);
  }
  const bool is_min = key.starts_with("min");
  const auto bound = [&](JsonType type) {
    return bounded(type, is_min, count(schema, key, value), positive);
  };
  if (key == "minLength" || key == "maxLength") return bound(JsonType::kString);
  if (key == "minItems" || key == "maxItems") return bound(JsonType::kArray);
  if (key == "minProperties" || key == "maxProperties")
    return bound(JsonType::kObject);

  const bool above = key == "minimum" || key == "exclusiveMinimum";
  const bool below = key == "maximum" || key == "exclusiveMaximum";
  if (!above && !below && key != "multipleOf") return std::nullopt;
  if (!value.is_number()) wrong_type(schema, key, "a number");
  const std::string number = value.dump();
  if (above) return numbers(numbers_above(number, key[0] == 'm'), positive);
  if (below) return numbers(numbers_below(number, key[0] == 'm'), positive);
  if (value.get<double>() <= 0) wrong_type(schema, key, "a number above 0");
  return numbers(numbers_multiple_of(number), positive);
}

Shapes SchemaExpander::type(const Json& schema, const Json& value,
                            bool positive) {
  static const std::map<std::string, JsonType> kTypes = {
      {"null", JsonType::kNull},     {"boolean", JsonType::kBoolean},
      {"number", JsonType::kNumber}, {"integer", JsonType::kNumber},
      {"string", JsonType::kString}, {"array", JsonType::kArray},
      {"object", JsonType::kObject}};
  Shapes result = positive ? Shapes{} : any_shapes();
  const Json list = value.is_array() ? value : Json::array({value});
  for (const auto& member : list) {
    const auto& name = text(schema, "type", member);
    const auto found = kTypes.find(name);
    if (found == kTypes.end())
      wrong_type(schema, "type", "the name of a JSON type");
    Shape shape = any_of(found->second);
    if (name == "integer") {
      shape.language = language_of(integer_numbers());
      shape.shortest = true;
    }
    if (positive) {
      result = either(result, {shape});
      continue;
    }
    Shapes others = other_types(shape.type);
    if (name == "integer")
      others.push_back(of_language(
          JsonType::kNumber, dfa_minus(all_numbers(), integer_numbers())));
    result = intersect(result, others);
  }
  return result;
}

Shapes SchemaExpander::values(const Json& schema, const Json& list,
                              bool positive) {
  // All strings and all numbers at once: an enum may have thousands.
  std::vector<std::u32string> words;
  std::vector<Dfa> numbers_listed;
  Shapes result = positive ? Shapes{} : any_shapes();
  const auto add = [&](const Shapes& shapes) {
    result = positive ? either(result, shapes) : intersect(result, shapes);
  };
  for (const auto& value : list) {
    if (value.is_string()) {
      words.push_back(to_utf32(value.get_ref<const std::string&>()));
    } else if (value.is_number()) {
      numbers_listed.push_back(numbers_equal(value.dump()));
    } else {
      add(one_value(schema, value, positive));
    }
  }
  if (!numbers_listed.empty()) {
    Dfa dfa = dfa_any_of(std::move(numbers_listed));
    Shape shape =
        of_language(JsonType::kNumber,
                    positive ? std::move(dfa) : dfa_minus(all_numbers(), dfa));
    shape.shortest = positive;
    add(positive ? Shapes{shape} : constrained(shape, true));
  }
  if (words.empty()) return result;
  const Dfa dfa = dfa_words(words);
  if (positive) {
    add({of_language(JsonType::kString, dfa)});
  } else {
    add(unite(other_types(JsonType::kString),
              {of_language(JsonType::kString, dfa_not(dfa))}, true));
  }
  return result;
}

Shapes SchemaExpander::one_value(const Json& schema, const Json& value,
                                 bool positive) {
  Shape shape;
  Shape others;  // of the same type
  if (value.is_structured()) {
    // As a schema that describes the value.
    Json same;
    if (value.is_array()) {
      same = {{"type", "array"},
              {"minItems", value.size()},
              {"maxItems", value.size()}};
      same["prefixItems"] = Json::array();
      for (const auto& item : value)
        same["prefixItems"].push_back({{"const", item}});
      if (value.empty()) same.erase("prefixItems");
    } else {
      same = {{"type", "object"}, {"maxProperties", value.size()}};
      same["required"] = Json::array();
      same["properties"] = Json::object();
      for (const auto& [name, member] : value.items()) {
        same["required"].push_back(name);
        same["properties"][name] = {{"const", member}};
      }
    }
    same["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    same["$id"] = "urn:const";
    return expand(document_.keep(std::move(same), schema), positive);
  }
  if (value.is_null()) {
    shape = any_of(JsonType::kNull);
    return positive ? Shapes{shape} : other_types(JsonType::kNull);
  }
  if (value.is_boolean()) {
    shape = others = any_of(JsonType::kBoolean);
    shape.allows_true = others.allows_false = value.get<bool>();
    shape.allows_false = others.allows_true = !value.get<bool>();
  } else if (value.is_string()) {
    const Dfa dfa = dfa_words({to_utf32(value.get_ref<const std::string&>())});
    shape = of_language(JsonType::kString, dfa);
    others = of_language(JsonType::kString, dfa_not(dfa));
  } else {
    const Dfa dfa = numbers_equal(value.dump());
    shape = of_language(JsonType::kNumber, dfa);
    shape.shortest = true;
    others = of_language(JsonType::kNumber, dfa_minus(all_numbers(), dfa));
  }
  if (positive) return {shape};
  return unite(other_types(shape.type), {others}, true);
}

}  // namespace skua
