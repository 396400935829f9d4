#include "text/json_field.h"

#include "skua/error.h"

namespace skua {

void JsonField::fail(const std::string& what) const {
  throw InvalidInput(where_, what);
}

std::string_view JsonField::string() const {
  std::string_view text;
  if (value_.get(text)) fail("is of the wrong kind, expected a string");
  return text;
}

bool JsonField::boolean() const {
  bool value = false;
  if (value_.get(value)) fail("is of the wrong kind, expected true or false");
  return value;
}

std::int64_t JsonField::integer(std::int64_t limit) const {
  std::int64_t value = 0;
  if (value_.get(value)) fail("is of the wrong kind, expected an integer");
  if (value < 0 || value >= limit)
    fail("is out of range, got " + std::to_string(value) +
         ", expected 0 or more and less than " + std::to_string(limit));
  return value;
}

simdjson::dom::object JsonField::object() const {
  simdjson::dom::object value;
  if (value_.get(value)) fail("is of the wrong kind, expected an object");
  return value;
}

simdjson::dom::array JsonField::array() const {
  simdjson::dom::array value;
  if (value_.get(value)) fail("is of the wrong kind, expected an array");
  return value;
}

std::optional<JsonField> JsonField::find(std::string_view key) const {
  simdjson::dom::element value;
  if (object().at_key(key).get(value) || value.is_null()) return std::nullopt;
  return child(value, key);
}

JsonField JsonField::at(std::string_view key) const {
  auto field = find(key);
  if (!field) child(value_, key).fail("is missing");
  return *field;
}

bool JsonField::boolean_or(std::string_view key, bool fallback) const {
  const auto field = find(key);
  return field ? field->boolean() : fallback;
}

JsonField JsonField::child(simdjson::dom::element value,
                           std::string_view name) const {
  return {value, where_ + "." + std::string(name)};
}

JsonField parse_big_json(simdjson::dom::parser& parser, std::string_view text,
                         const std::string& where) {
  simdjson::dom::element root;
  // The parser copies the text where it lacks padding.
  if (const auto error = parser.parse(text.data(), text.size(), true).get(root))
    throw InvalidInput(where, std::string("is not valid JSON: ") +
                                  simdjson::error_message(error));
  JsonField field(root, where);
  if (!field.is_object()) field.fail("is not a JSON object");
  return field;
}

}  // namespace skua
