#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <vector>

#include "tests/unit/text/message_support.h"

namespace skua::test {

/** An answer as a model writes it, and what is read from it. */
struct MessageCase {
  const char* text;
  const char* expected;  // as show()
  const char* open = "";
};

inline const Json& case_tools() {
  static const Json kTools = Json::parse(R"([
    {"type": "function", "function": {"name": "get_weather", "parameters": {
      "type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"},
        "exact": {"type": "boolean"}, "unit": {"enum": ["c", "f"]}}}}},
    {"name": "search", "parameters": {"properties": {
      "q": {"type": "string"}, "filter": {"type": "object"},
      "ids": {"type": "array"}, "limit": {"type": ["integer", "null"]},
      "score": {"anyOf": [{"type": "number"}, {"type": "string"}]}}}},
    {"name": "now"}, {"name": "python"}])");
  return kTools;
}

inline void check_cases(const char* name,
                        const std::vector<MessageCase>& cases) {
  std::size_t passed = 0;
  for (const auto& [text, expected, open] : cases) {
    const auto got = show(parse(message_format(name), text,
                                {.tools = case_tools(), .open_marker = open}));
    EXPECT_EQ(got, expected) << name << ": " << text;
    passed += got == expected;
  }
  std::printf("%s: %zu/%zu hand-written answers\n", name, passed, cases.size());
}

}  // namespace skua::test
