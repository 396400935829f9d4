#include "text/tool_arguments.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/quote.h"
#include "skua/error.h"
#include "text/json_schema.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::array<std::string_view, 11> kAnnotations = {
    "title",    "description", "default",    "examples",
    "$comment", "$schema",     "deprecated", "readOnly",
    "$defs",    "definitions", "writeOnly"};

// Keywords under which an object may have other properties.
constexpr std::array<const char*, 12> kOpen = {"additionalProperties",
                                               "patternProperties",
                                               "unevaluatedProperties",
                                               "propertyNames",
                                               "minProperties",
                                               "allOf",
                                               "anyOf",
                                               "oneOf",
                                               "if",
                                               "not",
                                               "dependentSchemas",
                                               "dependencies"};

// Whether it speaks of properties other than those it declares.
bool is_open(const Json& schema) {
  const Json properties = schema.value("properties", Json());
  if (!properties.is_object()) return true;
  for (const char* key : kOpen)
    if (schema.contains(key)) return true;
  const Json required = schema.value("required", Json::array());
  return !required.is_array() ||
         !std::ranges::all_of(required, [&](const Json& name) {
           return name.is_string() &&
                  properties.contains(name.get<std::string>());
         });
}

bool is_annotation(std::string_view keyword) {
  return std::ranges::find(kAnnotations, keyword) != kAnnotations.end();
}

bool is_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
           c == '/';
  };
  return !text.empty() && std::ranges::all_of(text, allowed);
}

// The parameters as a schema of an object.
Json object_schema(const Json& tool, const std::string& where) {
  Json schema = tool.value("parameters", Json());
  if (schema.is_null()) schema = Json{{"additionalProperties", false}};
  if (!schema.is_object())
    throw InvalidInput(where, std::string("'parameters' is ") +
                                  schema.type_name() + ", expected an object");
  if (schema.contains("$ref"))
    throw Unsupported(where, "'parameters' is a $ref, expected an object");
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != "object")
    throw InvalidInput(where, "'parameters' has the type " +
                                  schema["type"].dump() +
                                  ", expected \"object\"");
  // No more arguments than the function has, unless the schema speaks of them.
  if (!is_open(schema)) schema["additionalProperties"] = false;
  return schema;
}

// Nothing but types, so that whatever is read from a text is allowed.
bool is_bare(const Json& schema) {
  if (!schema.is_object()) return false;
  for (const auto& [keyword, value] : schema.items()) {
    if (keyword == "type" || is_annotation(keyword)) continue;
    if (keyword != "anyOf" || !value.is_array()) return false;
    if (!std::all_of(value.begin(), value.end(), is_bare)) return false;
  }
  return schema.contains("type") != schema.contains("anyOf");
}

// Whether a string is among the values, written as a text without quotes.
bool may_be_string(const Json& schema) {
  const ToolSchemas tools(Json::array(
      {{{"name", "f"}, {"parameters", {{"properties", {{"a", schema}}}}}}}));
  return tools.argument("f", "a", "null") == "\"null\"" ||
         tools.argument("f", "a", "x") != tools.argument("f", "a", "\"x\"");
}

// Strings that are the only values; empty: there are others.
std::vector<std::u32string> only_strings(const Json& schema) {
  std::vector<std::u32string> words;
  for (const auto& [keyword, value] : schema.items()) {
    if (is_annotation(keyword) || (keyword == "type" && value == "string"))
      continue;
    if (keyword != "enum" && keyword != "const") return {};
    if (!words.empty()) return {};
    for (const auto& each : keyword == "enum" ? value : Json::array({value})) {
      if (!each.is_string()) return {};
      words.push_back(to_utf32(each.get_ref<const std::string&>()));
    }
  }
  return words;
}

// With what the schema of the whole may define.
Json document_of(const Json& schema, const Json& parameters) {
  Json document = schema;
  if (!document.is_object()) return document;
  for (const char* key : {"$schema", "$defs", "definitions"})
    if (parameters.contains(key) && !document.contains(key))
      document[key] = parameters[key];
  return document;
}

// What is asked of an object that is written argument by argument.
void check_parameters(const Json& parameters) {
  for (const auto& [keyword, value] : parameters.items())
    if (keyword != "type" && keyword != "properties" && keyword != "required" &&
        keyword != "additionalProperties" && !is_annotation(keyword))
      throw Unsupported(keyword, "it stands beside arguments between tags");
}

}  // namespace

std::vector<Tool> read_tools(const Json& tools) {
  const ToolSchemas checked(tools);
  std::vector<Tool> found;
  std::set<std::string> names;
  for (const auto& each : tools.is_array() ? tools : Json::array()) {
    const Json& tool = each.contains("function") ? each["function"] : each;
    const auto name = tool["name"].get<std::string>();
    const std::string where = "tool " + quote(name);
    if (!is_name(name))
      throw Unsupported(where,
                        "its name, of which letters, digits, '_', '-', '.' "
                        "and '/' can be written in every format");
    if (!names.insert(name).second)
      throw InvalidInput(where, "it is there twice");
    found.push_back({name, object_schema(tool, where)});
  }
  return found;
}

std::int32_t ToolArguments::write(const Tool& tool, const CallForm& form) {
  const std::string where = "tool " + quote(tool.name);
  try {
    return form.key_open.empty() ? object(tool, form) : tagged(tool, form);
  } catch (const InvalidInput& error) {
    throw InvalidInput(where, error.what());
  } catch (const Unsupported& error) {
    throw Unsupported(where, error.what());
  }
}

std::int32_t ToolArguments::object(const Tool& tool, const CallForm& form) {
  const auto [entry, is_new] = objects_.emplace(tool.name, -1);
  if (!is_new) return entry->second;
  ValueSpelling spelling = value_spelling(form.syntax);
  if (!form.text_end.empty()) spelling.forbidden.push_back(form.text_end);
  return entry->second = add_json_schema(rules_, tool.parameters, spelling);
}

std::int32_t ToolArguments::tagged(const Tool& tool, const CallForm& form) {
  check_parameters(tool.parameters);
  const Json properties = tool.parameters.value("properties", Json::object());
  const Json required = tool.parameters.value("required", Json::array());
  if (!properties.is_object() || !required.is_array())
    throw InvalidInput("parameters",
                       "expected an object of properties and a list of "
                       "required ones");
  for (const auto& name : required)
    if (!name.is_string() || !properties.contains(name.get<std::string>()))
      throw Unsupported("required", name.dump() + " is no property");
  GrammarSequence all;
  for (const auto& [key, schema] : properties.items()) {
    const bool needed =
        std::find(required.begin(), required.end(), key) != required.end();
    const auto rule = rules_.rule_of(
        argument(key, document_of(schema, tool.parameters), form));
    all.push_back(GrammarItem::ref(rule, needed ? 1 : 0, 1));
  }
  return rules_.rule_of(std::move(all));
}

GrammarSequence ToolArguments::argument(const std::string& key,
                                        const Json& schema,
                                        const CallForm& form) {
  if (!is_name(key))
    throw Unsupported("properties", quote(key) + " as a name between tags");
  const auto head = [&](bool is_string) {
    const bool other = is_string && !form.string_key_close.empty();
    return GrammarItem::literal(
        std::string(form.key_open) + key +
        std::string(other ? form.string_key_close : form.key_close));
  };
  const std::string tail(form.value_close);
  const std::vector<std::string_view> ends = {trim_space(form.value_close),
                                              trim_space(form.close),
                                              trim_space(form.end)};
  if (!may_be_string(schema)) {
    ValueSpelling spelling;
    for (const auto end : ends)
      if (!end.empty()) spelling.forbidden.push_back(end);
    return {head(false),
            GrammarItem::ref(add_json_schema(rules_, schema, spelling)),
            GrammarItem::literal(tail)};
  }
  const Dfa texts = dfa_without(ends);
  if (is_bare(schema))
    return {head(true),
            GrammarItem::ref(add_dfa(rules_, texts, Spelling::kPlain, tail))};
  const auto words = only_strings(schema);
  for (const auto& word : words)
    if (!dfa_accepts(texts, word) ||
        (!word.empty() && (word.front() == '\n' || word.back() == '\n')))
      throw Unsupported("properties",
                        quote(key) + " has a value that tags would end");
  if (words.empty())
    throw Unsupported("properties", quote(key) +
                                        " is a text without quotes under "
                                        "more than a type or a list");
  return {head(true), GrammarItem::ref(add_dfa(rules_, dfa_words(words),
                                               Spelling::kPlain, tail))};
}

}  // namespace skua
