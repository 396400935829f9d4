#include "text/tool_schemas.h"

#include <optional>

#include "skua/error.h"
#include "text/literal.h"

namespace skua {
namespace {

enum Kind : unsigned {
  kNull = 1,
  kInteger = 2,
  kNumber = 4,
  kBoolean = 8,
  kObject = 16,
  kArray = 32,
  kString = 64,
};

constexpr int kMaxSchemaDepth = 16;

unsigned kind_named(std::string_view name) {
  struct Name {
    std::string_view name;
    Kind kind;
  };
  constexpr Name kNames[] = {{"null", kNull},       {"integer", kInteger},
                             {"number", kNumber},   {"object", kObject},
                             {"boolean", kBoolean}, {"array", kArray},
                             {"string", kString}};
  for (const auto& each : kNames)
    if (each.name == name) return each.kind;
  return 0;
}

unsigned kind_of(const Json& value) {
  if (value.is_number_integer()) return kInteger;
  if (value.is_number()) return kNumber;
  return kind_named(value.type_name());
}

// The kinds a schema allows, 0 where it does not say.
unsigned kinds_of(const Json& schema, int depth) {
  if (!schema.is_object() || depth == kMaxSchemaDepth) return 0;
  unsigned kinds = 0;
  if (const auto type = schema.find("type"); type != schema.end()) {
    for (const auto& each : type->is_array() ? *type : Json::array({*type}))
      if (each.is_string()) kinds |= kind_named(each.get<std::string>());
  } else if (const auto values = schema.find("enum");
             values != schema.end() && values->is_array()) {
    for (const auto& each : *values) kinds |= kind_of(each);
  } else if (const auto value = schema.find("const"); value != schema.end()) {
    kinds = kind_of(*value);
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto choices = schema.find(key);
    if (kinds || choices == schema.end() || !choices->is_array()) continue;
    for (const auto& each : *choices) {
      const unsigned one = kinds_of(each, depth + 1);
      if (!one) return 0;
      kinds |= one;
    }
  }
  if (kinds && schema.value("nullable", Json()) == true) kinds |= kNull;
  return kinds;
}

std::optional<std::string> any_literal(std::string_view text) {
  auto json = literal_to_json(text, LiteralSyntax::kJson);
  return json ? json : literal_to_json(text, LiteralSyntax::kPython);
}

unsigned literal_kind(std::string_view json) {
  switch (json.front()) {
    case '{':
      return kObject;
    case '[':
      return kArray;
    case '"':
      return kString;
    case 'n':
      return kNull;
    case 't':
    case 'f':
      return kBoolean;
    default:
      return is_json_integer(json) ? kInteger | kNumber : kNumber;
  }
}

}  // namespace

ToolSchemas::ToolSchemas(const Json& tools) {
  if (tools.is_null()) return;
  if (!tools.is_array())
    throw InvalidInput("tools", std::string("got ") + tools.type_name() +
                                    ", expected an array");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const Json* tool = &tools[i];
    if (tool->is_object() && tool->contains("function"))
      tool = &tool->at("function");
    if (!tool->is_object() || !tool->contains("name") ||
        !tool->at("name").is_string())
      throw InvalidInput("tools[" + std::to_string(i) + "]",
                         "has no 'name', expected a string");
    auto& arguments = tools_[tool->at("name").get<std::string>()];
    const Json parameters = tool->value("parameters", Json());
    if (!parameters.is_object()) continue;
    const Json properties = parameters.value("properties", Json());
    if (!properties.is_object()) continue;
    for (const auto& [name, schema] : properties.items())
      arguments[name] = kinds_of(schema, 0);
  }
}

bool ToolSchemas::has(std::string_view tool) const {
  return tools_.find(tool) != tools_.end();
}

std::string ToolSchemas::argument(std::string_view tool, std::string_view name,
                                  std::string_view text) const {
  unsigned kinds = 0;
  if (const auto found = tools_.find(tool); found != tools_.end()) {
    const auto& arguments = found->second;
    const auto kind = arguments.find(name);
    if (kind != arguments.end()) kinds = kind->second;
  }
  const auto literal = any_literal(text);
  if (literal && (!kinds || (literal_kind(*literal) & kinds & ~kString)))
    return *literal;
  if (literal && !(kinds & kString)) return *literal;
  return json_quote(text);
}

}  // namespace skua
