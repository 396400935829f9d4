#include "text/literal.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "skua/error.h"
#include "text/bracket_scanner.h"
#include "text/tool_schemas.h"

namespace skua {
namespace {

struct Case {
  const char* text;
  const char* json;  // empty if it is none
};

void check(LiteralSyntax syntax, const std::vector<Case>& cases) {
  for (const auto& [text, json] : cases) {
    const auto got = literal_to_json(text, syntax);
    EXPECT_EQ(got.value_or(""), json) << text;
    if (!got) continue;
    EXPECT_NO_THROW(parse_json(*got, "got")) << *got;
  }
}

TEST(Literal, Json) {
  check(LiteralSyntax::kJson,
        {{" {\"a\" : [1, -2.50e+3, true, null]} ",
          "{\"a\":[1,-2.50e+3,true,null]}"},
         {"{}", "{}"},
         {"[]", "[]"},
         {"[[],[[]],{}]", "[[],[[]],{}]"},
         {"\"\\u0041\\t\\/\"", "\"A\\t/\""},
         {"\"\\ud83d\\ude42 \\ud83dx \\ude42 \\ud83d\\u0041\"",
          "\"🙂 \uFFFDx \uFFFD \uFFFDA\""},
         {"99999999999999999999999999", "99999999999999999999999999"},
         {"-0", "-0"},
         {"\"a\nb\"", "\"a\\nb\""},
         {"[1,]", ""},
         {"[[1]", ""},
         {"[[1],", ""},
         {"{\"a\":1,}", ""},
         {"{a:1}", ""},
         {"{1:1}", ""},
         {"{\"a\"}", ""},
         {"01", ""},
         {"1.", ""},
         {".5", ""},
         {"-", ""},
         {"1e", ""},
         {"1e999", ""},
         {"1x", ""},
         {"True", ""},
         {"nul", ""},
         {"'a'", ""},
         {"\"a", ""},
         {"\"\\x41\"", ""},
         {"\"\\u12\"", ""},
         {"\"\\u12g4\"", ""},
         {"\"\\", ""},
         {"1 2", ""},
         {"(1)", ""},
         {"", ""}});
}

TEST(Literal, Python) {
  check(LiteralSyntax::kPython,
        {{"{'a': (1, [True, False, None]), \"b\": 'x\"y',}",
          "{\"a\":[1,[true,false,null]],\"b\":\"x\\\"y\"}"},
         {"()", "[]"},
         {"(1,)", "[1]"},
         {"[1,]", "[1]"},
         {"'\\'\\x41\\U0001F642\\q\\\n'", "\"'A🙂\\\\q\""},
         {"'\\ud83d\\ude42\\U00110000\\xff'", "\"🙂\uFFFDÿ\""},
         {"true", "true"},
         {"null", "null"},
         {"f(1)", ""},
         {"[,]", ""},
         {"(1]", ""},
         {"'a\"", ""}});
}

TEST(Literal, Gemma) {
  check(LiteralSyntax::kGemma4,
        {{"{a:<|\"|>x, \\n<|\"|>,b:[1,true,None,word two],<|\"|>c d<|\"|>:{}}",
          "{\"a\":\"x, \\\\n\",\"b\":[1,true,null,\"word two\"],\"c d\":{}}"},
         {"{a:5 km,b:\"q\"}", "{\"a\":\"5 km\",\"b\":\"q\"}"},
         {"{a:<|\"|>x}", ""},
         {"{a}", ""},
         {"{:1}", ""},
         {"{a:}", ""}});
  check(LiteralSyntax::kGemma, {{"{a:<escape>x}<escape>}", "{\"a\":\"x}\"}"}});
}

TEST(Literal, DepthIsLimited) {
  const auto nested = [](std::size_t n) {
    return std::string(n, '[') + std::string(n, ']');
  };
  EXPECT_TRUE(literal_to_json(nested(kMaxLiteralDepth), LiteralSyntax::kJson));
  EXPECT_FALSE(
      literal_to_json(nested(kMaxLiteralDepth + 1), LiteralSyntax::kJson));
  EXPECT_FALSE(literal_to_json(nested(1'000'000), LiteralSyntax::kPython));
}

TEST(BracketScanner, FindsTheEndWhateverTheCuts) {
  const struct {
    LiteralSyntax syntax;
    const char* text;
    std::size_t end;  // 0 if the value is broken or goes on
  } cases[] = {
      {LiteralSyntax::kJson, " {\"a\\\"}\": [\"]\"]} x", 16},
      {LiteralSyntax::kJson, "\"a\\\"b\" x", 6},
      {LiteralSyntax::kJson, "{]}", 0},
      {LiteralSyntax::kJson, "x{}", 0},
      {LiteralSyntax::kJson, "{'}", 0},
      {LiteralSyntax::kJson, "{", 0},
      {LiteralSyntax::kPython, "[f(a='])', b=\"')\")] x", 19},
      {LiteralSyntax::kGemma4, "{a:<|\"|>}\\<|\"|>,b:<x>} ", 22},
      {LiteralSyntax::kGemma, "{a:<escape>}<escape>}", 21},
  };
  for (const auto& [syntax, text, end] : cases) {
    for (std::size_t step = 1; step <= std::string_view(text).size(); ++step) {
      BracketScanner scanner(syntax);
      std::size_t at = 0;
      auto result = BracketScanner::Result::kMore;
      for (std::size_t n = step;; n += step) {
        const auto part = std::string_view(text).substr(0, n);
        result = scanner.scan(part, at);
        if (result != BracketScanner::Result::kMore ||
            part.size() == std::string_view(text).size())
          break;
      }
      EXPECT_EQ(result == BracketScanner::Result::kDone ? at : 0, end)
          << text << " by " << step;
    }
  }
}

TEST(ToolSchemas, ArgumentsFollowTheirTypes) {
  const ToolSchemas tools(Json::parse(R"([{"function": {"name": "t",
    "parameters": {"properties": {
      "s": {"type": "string"}, "i": {"type": "integer"},
      "n": {"type": "number"}, "b": {"type": "boolean"},
      "o": {"type": "object"}, "a": {"type": "array"},
      "si": {"type": ["string", "integer"]},
      "sn": {"type": ["string", "number"]},
      "sz": {"type": "string", "nullable": true},
      "any": {}, "e": {"enum": ["1", 2]}, "c": {"const": "1"},
      "of": {"anyOf": [{"type": "string"}, {"oneOf": [{"type": "array"}]}]},
      "open": {"anyOf": [{"type": "string"}, {}]}}}}}])"));
  const struct {
    const char *name, *text, *json;
  } cases[] = {
      {"s", "5", "\"5\""},
      {"s", "null", "\"null\""},
      {"s", "{\"a\":1}", "\"{\\\"a\\\":1}\""},
      {"s", " x ", "\" x \""},
      {"s", "\"x\"", "\"\\\"x\\\"\""},
      {"sn", "7", "7"},
      {"i", " 5 ", "5"},
      {"i", "123456789012345678901234567890", "123456789012345678901234567890"},
      {"i", "5.0", "5.0"},
      {"i", "five", "\"five\""},
      {"n", "0.10", "0.10"},
      {"n", "7", "7"},
      {"n", "1e999", "\"1e999\""},
      {"b", "true", "true"},
      {"b", "False", "false"},
      {"b", "yes", "\"yes\""},
      {"o", "{'a': None}", "{\"a\":null}"},
      {"o", "null", "null"},
      {"a", "[1, 2]", "[1,2]"},
      {"a", "[1, 2", "\"[1, 2\""},
      {"si", "5", "5"},
      {"si", "5.5", "\"5.5\""},
      {"si", "true", "\"true\""},
      {"sz", "null", "null"},
      {"sz", "5", "\"5\""},
      {"any", "5", "5"},
      {"any", "x", "\"x\""},
      {"any", "\"x\"", "\"x\""},
      {"e", "1", "1"},
      {"e", "x", "\"x\""},
      {"c", "1", "\"1\""},
      {"of", "[1]", "[1]"},
      {"of", "1", "\"1\""},
      {"open", "1", "1"},
      {"unknown", "1", "1"},
  };
  for (const auto& [name, text, json] : cases)
    EXPECT_EQ(tools.argument("t", name, text), json) << name << " " << text;
  EXPECT_EQ(tools.argument("other", "s", "5"), "5");
}

TEST(ToolSchemas, RefusesWhatIsNoTool) {
  EXPECT_TRUE(ToolSchemas(Json()).empty());
  EXPECT_TRUE(ToolSchemas(Json::array()).empty());
  for (const char* bad :
       {"{}", "[1]", "[{}]", "[{\"function\": 1}]", "[{\"name\": 1}]", "\"f\""})
    EXPECT_THROW(ToolSchemas(Json::parse(bad)), InvalidInput) << bad;
  // What is odd in a schema leaves the type open.
  for (const char* odd :
       {"[{\"name\":\"t\",\"parameters\":1}]",
        "[{\"name\":\"t\",\"parameters\":{\"properties\":[]}}]",
        "[{\"name\":\"t\",\"parameters\":{\"properties\":{\"a\":7}}}]",
        "[{\"name\":\"t\",\"parameters\":{\"properties\":{\"a\":"
        "{\"type\":\"odd\"}}}}]"})
    EXPECT_EQ(ToolSchemas(Json::parse(odd)).argument("t", "a", "1"), "1")
        << odd;
}

}  // namespace
}  // namespace skua
