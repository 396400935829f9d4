#pragma once

#include "base/json.h"

namespace skua::test {

/** Tools whose schemas have what formats write in different ways. */
inline Json tools() {
  return Json::parse(R"([
    {"type": "function", "function": {"name": "get_weather", "parameters": {
      "type": "object", "required": ["city", "unit"],
      "properties": {
        "city": {"type": "string", "description": "city"},
        "unit": {"type": "string", "enum": ["C", "F", "5", "null"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "where": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]},
        "note": {"type": ["string", "null", "integer"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "kinds": {"type": "array", "uniqueItems": true,
                  "items": {"enum": ["a", true, null]}},
        "more": {"type": "object", "additionalProperties":
                 {"type": "string", "maxLength": 40}}},
      "additionalProperties": false,
      "$defs": {"point": {"type": "object", "required": ["x"],
        "properties": {"x": {"type": "number"}, "on": {"type": "boolean"}},
        "additionalProperties": false}}}}},
    {"name": "now", "parameters": {"type": "object", "properties": {},
      "additionalProperties": false}},
    {"name": "stop"}])");
}

}  // namespace skua::test
