#pragma once

#include <cmath>
#include <string>

#include "base/json.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace skua::test {

inline bool is_valid(const Json& schema, const Json& value);

inline bool has_type(const std::string& type, const Json& v) {
  if (type == "integer")
    return v.is_number() && v.get<double>() == std::floor(v.get<double>());
  return (type == "null" && v.is_null()) ||
         (type == "boolean" && v.is_boolean()) ||
         (type == "number" && v.is_number()) ||
         (type == "string" && v.is_string()) ||
         (type == "array" && v.is_array()) ||
         (type == "object" && v.is_object());
}

inline bool valid_number(const std::string& key, const Json& k, double v) {
  if (key == "minimum") return v >= k.get<double>();
  if (key == "maximum") return v <= k.get<double>();
  if (key == "exclusiveMinimum") return v > k.get<double>();
  if (key == "exclusiveMaximum") return v < k.get<double>();
  if (key == "multipleOf") return std::fmod(v, k.get<double>()) == 0;
  return true;
}

inline bool valid_array(const Json& schema, const std::string& key,
                        const Json& k, const Json& v) {
  if (key == "minItems") return v.size() >= k.get<std::size_t>();
  if (key == "maxItems") return v.size() <= k.get<std::size_t>();
  const Json prefix = schema.value("prefixItems", Json::array());
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (key == "prefixItems" && i < k.size() && !is_valid(k[i], v[i]))
      return false;
    if (key == "items" && i >= prefix.size() && !is_valid(k, v[i]))
      return false;
  }
  if (key != "contains") return true;
  std::size_t n = 0;
  for (const auto& item : v) n += is_valid(k, item);
  return n >= schema.value("minContains", std::size_t{1}) &&
         n <= schema.value("maxContains", v.size());
}

inline bool matches(const std::string& pattern, const std::string& text) {
  return dfa_accepts(compile_pattern(pattern, true, "test"), to_utf32(text));
}

inline bool valid_object(const Json& schema, const std::string& key,
                         const Json& k, const Json& v) {
  if (key == "minProperties") return v.size() >= k.get<std::size_t>();
  if (key == "maxProperties") return v.size() <= k.get<std::size_t>();
  if (key == "required")
    for (const auto& name : k)
      if (!v.contains(name.get<std::string>())) return false;
  if (key == "dependentRequired")
    for (const auto& [name, needed] : k.items())
      for (const auto& other : needed)
        if (v.contains(name) && !v.contains(other.get<std::string>()))
          return false;
  for (const auto& [name, member] : v.items()) {
    if (key == "propertyNames" && !is_valid(k, name)) return false;
    const bool declared =
        schema.contains("properties") && schema["properties"].contains(name);
    if (key == "properties" && declared && !is_valid(k[name], member))
      return false;
    bool matched = false;
    if (schema.contains("patternProperties"))
      for (const auto& [pattern, more] : schema["patternProperties"].items()) {
        if (!matches(pattern, name)) continue;
        matched = true;
        if (key == "patternProperties" && !is_valid(more, member)) return false;
      }
    if (key == "additionalProperties" && !declared && !matched &&
        !is_valid(k, member))
      return false;
  }
  return true;
}

inline int count_valid(const Json& schemas, const Json& value) {
  int n = 0;
  for (const auto& schema : schemas) n += is_valid(schema, value);
  return n;
}

/** A plain validator of the keywords that the fixtures use, to judge texts
 *  made here; the fixtures' verdicts judge it in turn. */
inline bool is_valid(const Json& schema, const Json& value) {
  if (schema.is_boolean()) return schema.get<bool>();
  for (const auto& [key, k] : schema.items()) {
    bool good = true;
    if (key == "type" && k.is_string()) {
      good = has_type(k, value);
    } else if (key == "type") {
      good = false;
      for (const auto& type : k) good = good || has_type(type, value);
    } else if (key == "const") {
      good = value == k;
    } else if (key == "enum") {
      good = std::find(k.begin(), k.end(), value) != k.end();
    } else if (key == "allOf") {
      good = count_valid(k, value) == static_cast<int>(k.size());
    } else if (key == "anyOf") {
      good = count_valid(k, value) > 0;
    } else if (key == "oneOf") {
      good = count_valid(k, value) == 1;
    } else if (key == "not") {
      good = !is_valid(k, value);
    } else if (key == "if") {
      const char* branch = is_valid(k, value) ? "then" : "else";
      good = !schema.contains(branch) || is_valid(schema[branch], value);
    } else if (value.is_number()) {
      good = valid_number(key, k, value.get<double>());
    } else if (value.is_string()) {
      const auto n = to_utf32(value.get_ref<const std::string&>()).size();
      if (key == "minLength") good = n >= k.get<std::size_t>();
      if (key == "maxLength") good = n <= k.get<std::size_t>();
      if (key == "pattern") good = matches(k, value);
    } else if (value.is_array()) {
      good = valid_array(schema, key, k, value);
    } else if (value.is_object()) {
      good = valid_object(schema, key, k, value);
    }
    if (!good) return false;
  }
  return true;
}

}  // namespace skua::test
