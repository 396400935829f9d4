#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "skua/error.h"
#include "tests/unit/text/grammar_support.h"

namespace skua::test {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class JsonSchema : public ::testing::Test {
 protected:
  bool accepts(const std::string& source, const std::string& text) {
    return grammars.accepts(schema(source), text);
  }
  void expect(const std::string& source,
              const std::vector<std::string>& accepted,
              const std::vector<std::string>& refused) {
    for (const auto& text : accepted)
      EXPECT_TRUE(accepts(source, text)) << source << ": " << text;
    for (const auto& text : refused)
      EXPECT_FALSE(accepts(source, text)) << source << ": " << text;
  }
  ByteGrammars grammars;
};

std::string repeated(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

TEST_F(JsonSchema, LengthsCountCharactersNotBytesOrEscapes) {
  for (const int max : {1, 3, 8, 9, 20, 200}) {
    const auto source =
        "{\"type\":\"string\",\"maxLength\":" + std::to_string(max) +
        ",\"minLength\":1}";
    for (const std::string c : {"a", "\xc3\xa4", "\xf0\x9f\x98\x80", "\\n",
                                "\\u0041", "\\ud83d\\ude00"}) {
      const auto text = [&](int n) { return '"' + repeated(c, n) + '"'; };
      EXPECT_FALSE(accepts(source, text(max + 1))) << source << c;
      EXPECT_FALSE(accepts(source, text(max + 2))) << source << c;
      EXPECT_FALSE(accepts(source, text(0)));
      EXPECT_TRUE(accepts(source, text(1)));
      // An escape may count for the characters that it is written with.
      EXPECT_TRUE(
          accepts(source, text(c[0] == '\\' && max > 9 ? max / 12 + 1 : max)))
          << source << c;
    }
    const auto full = repeated("a", max - 1);
    EXPECT_TRUE(accepts(source, '"' + full + "\\n\"")) << source;
    EXPECT_FALSE(accepts(source, '"' + full + "\\n\\n\"")) << source;
    EXPECT_FALSE(accepts(source, '"' + full + "\\nb\"")) << source;
    EXPECT_TRUE(accepts(source, '"' + full + "\\u00e4\"")) << source;
    EXPECT_FALSE(accepts(source, '"' + full + "\\u00e4x\"")) << source;
  }
}

TEST_F(JsonSchema, WhitespaceIsBounded) {
  const auto* source = R"({"type":"array","items":{"const":1}})";
  expect(source, {"[]", "[1,1]", "[1, 1]", "[\n  1,\n  1\n]"},
         {"[1,  1]", "[\n\n1]", " []", "[1 ,1]",
          "[\n" + std::string(33, ' ') + "]"});
}

}  // namespace
}  // namespace skua::test
