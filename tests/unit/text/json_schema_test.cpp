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

TEST_F(JsonSchema, AnyJsonIsWellFormed) {
  expect(
      "true",
      {"null", "-0.5e+10", "[1, \"a\", {}]", "{\"a\": {\"b\": [true]}}",
       "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
      {"", "nul", "01", "1.", "+1", ".5", "[1,]", "{\"a\"}", "{a:1}", "\"\n\"",
       "\"\\ud83d\"", "\"\\x41\"", "\"\xf0\x9f\"", "1e999", "[1] "});
}

TEST_F(JsonSchema, PropertiesComeAsDeclared) {
  const auto* source = R"({"properties":{"b":{"type":"integer"},"a":true},
    "required":["c"],"type":"object"})";
  expect(source,
         {R"({"b":1,"a":2,"c":3,"d":4})", R"({"c":3})", R"({ "a": 2, "c": 3 })",
          R"({"c":3,"d":4,"e":5})"},
         {R"({"a":2,"b":1,"c":3})", R"({"b":1})", R"({"b":1.5,"c":3})",
          R"({"b":1,"c":3,"b":"x"})", R"({"c":3,"\u0062":"x"})", "{}"});
}

TEST_F(JsonSchema, NumbersKeepToTheirBounds) {
  expect(R"({"type":"integer","minimum":-12,"exclusiveMaximum":105})",
         {"-12", "0", "-1", "9", "99", "104"},
         {"-13", "105", "1000", "1.5", "-0", "1e1", "007"});
  expect(R"({"type":"number","exclusiveMinimum":0.25,"maximum":1.5})",
         {"0.26", "0.2500001", "1", "1.0", "1.50"},
         {"0.25", "0.250", "0", "-1", "1.51", "2", "1e0"});
  expect(R"({"multipleOf":0.01,"type":"number"})", {"1.25", "-3", "0.10"},
         {"1.255", "0.001"});
  expect(R"({"type":"integer","multipleOf":7})", {"0", "14", "-7", "7007"},
         {"8", "-15", "7000001"});
}

TEST_F(JsonSchema, RecursionIsKept) {
  expect(R"({"type":"object","properties":{"v":{"type":"integer"},
            "next":{"$ref":"#"}},"required":["v"],
            "additionalProperties":false})",
         {R"({"v":1})", R"({"v":1,"next":{"v":2,"next":{"v":3}}})"},
         {R"({"v":1,"next":{}})", R"({"v":1,"next":{"v":2,"next":1}})"});
}

TEST_F(JsonSchema, RefusalsNameTheKeywordAndItsPlace) {
  const auto compile = [&](const char* source) {
    return [this, source] { grammars.compiler.compile(schema(source)); };
  };
  const auto refused = [&](const char* source, const char* place) {
    EXPECT_THAT(compile(source), ThrowsMessage<Unsupported>(HasSubstr(place)))
        << source;
  };
  refused(R"x({"properties":{"a/b":{"type":"array","uniqueItems":true}}})x",
          "schema#/properties/a~1b/uniqueItems");
  refused(R"x({"anyOf":[{"$ref":"http://x.org/y"}]})x", "schema#/anyOf/0/$ref");
  refused(R"x({"$schema":"http://x.org/y"})x", "schema#/$schema");
  refused(R"x({"items":{"pattern":"(?=a)"}})x", "schema#/items/pattern");
  refused(R"x({"items":{"multipleOf":1e-80}})x", "schema#/items/multipleOf");
  refused(R"x({"not":{"unevaluatedProperties":false}})x",
          "schema#/not/unevaluatedProperties");
  refused(R"x({"not":{"uniqueItems":true}})x", "schema#/not/uniqueItems");
  refused(R"x({"$ref":"#"})x", "schema#/$ref");

  const auto invalid = [&](const char* source, const char* place) {
    EXPECT_THAT(compile(source), ThrowsMessage<InvalidInput>(HasSubstr(place)))
        << source;
  };
  invalid("{", "schema");
  invalid("1", "schema#");
  invalid(R"x({"type":"int"})x", "schema#/type");
  invalid(R"x({"minLength":-1})x", "schema#/minLength");
  invalid(R"x({"maxItems":"1"})x", "schema#/maxItems");
  invalid(R"x({"anyOf":{}})x", "schema#/anyOf");
  invalid(R"x({"required":[1]})x", "schema#/required");
  invalid(R"x({"properties":[1]})x", "schema#/properties");
  invalid(R"x({"items":{"pattern":"("}})x", "schema#/items/pattern");
  invalid(R"x({"$ref":"#/$defs/a"})x", "schema#/$ref");
  invalid(R"x({"enum":[]})x", "no text matches");
  invalid(R"x({"type":"object","properties":{"a":{"$ref":"#"}},
             "required":["a"]})x",
          "no text matches");
}

TEST_F(JsonSchema, OneOfLooksIntoRequiredProperties) {
  expect(R"({"oneOf":[
            {"type":"object","required":["next","kind"],
             "properties":{"next":{"$ref":"#"},"kind":{"const":"a"}}},
            {"type":"object","required":["kind"],
             "properties":{"kind":{"const":"b"}}}]})",
         {R"({"kind":"b"})", R"({"next":{"kind":"b"},"kind":"a"})"},
         {R"({"kind":"a"})", R"({"next":{"kind":"a"},"kind":"a"})", "{}"});
  expect(R"({"oneOf":[{"multipleOf":2,"type":"integer"},
                      {"multipleOf":3,"type":"integer"}]})",
         {"2", "3", "8"}, {"6", "0", "7", "-12"});
}

TEST_F(JsonSchema, NotMeansThatSomePropertyBreaksTheRule) {
  // Of a name that is there twice readers take the last value.
  expect(R"({"type":"object","not":{"properties":{"c":true},
            "additionalProperties":{"type":"integer"}}})",
         {R"({"a":"x"})", R"({"c":1,"a":1,"b":"x"})"},
         {"{}", R"({"c":"x"})", R"({"a":1,"b":2})", R"({"a":"x","a":1})"});
  expect(R"({"type":"object","not":{"patternProperties":{"^a":{"minimum":3}}},
            "properties":{"ab":true},"maxProperties":2})",
         {R"({"ab":2})", R"({"ab":4,"aa":1})", R"({"ab":2,"b":1})"},
         {R"({"ab":4})", R"({"b":1})", R"({"ab":4,"aa":5})",
          R"({"ab":4,"b":1,"aa":1})", R"({"aa":1,"aa":5})"});
  expect(R"({"type":"object","not":{"propertyNames":{"maxLength":2}}})",
         {R"({"abc":1})", R"({"a":1,"abc":2})"}, {"{}", R"({"ab":1})"});
  expect(R"({"oneOf":[
            {"type":"object","properties":{"a":{"type":"integer"},"b":{}},
             "additionalProperties":false},
            {"type":"object","properties":{"a":{"type":"integer"},"c":{}},
             "additionalProperties":false},
            {"type":"object","properties":{"d":{}},
             "additionalProperties":false}]})",
         {R"({"b":1})", R"({"a":1,"c":2})", R"({"d":null})"},
         {"{}", R"({"a":1})", R"({"a":1,"d":2})", R"({"b":1,"c":2})"});
}

TEST_F(JsonSchema, ConditionsOnSeveralUnknownNamesAreRefused) {
  EXPECT_THAT(
      [&] {
        accepts(R"({"type":"object",
                   "not":{"anyOf":[{"additionalProperties":{"minimum":3}},
                                   {"additionalProperties":{"maximum":9}}]}})",
                "{}");
      },
      ThrowsMessage<Unsupported>(HasSubstr("name is not known")));
}

TEST_F(JsonSchema, WhatContainsHasFoundIsEvaluated) {
  expect(R"({"type":"array","prefixItems":[true],"contains":{"type":"string"},
            "unevaluatedItems":{"minimum":5}})",
         {R"([0,"a"])", R"(["a",7])", R"([1,7,"b",9])"},
         {"[0]", "[7,7]", R"([0,"a",1])"});
  // What a refusal has found does not count.
  const auto under_not = [&](const char* more) {
    return std::string(R"({"type":"array","not":{"not":{
        "contains":{"type":"string"}}},"unevaluatedItems":)") +
           more + '}';
  };
  expect(under_not("true"), {R"(["a"])"}, {"[]", "[1]"});
  EXPECT_THROW(accepts(under_not("false"), "[]"), InvalidInput);
}

TEST_F(JsonSchema, WorkIsBounded) {
  GrammarCompiler small(*grammars.tokenizer, {grammars.end},
                        grammars.tokenizer->size(), {.max_work = 1000});
  EXPECT_NE(small.compile(regex("a*")), nullptr);
  EXPECT_THAT([&] { small.compile(regex("(a|b)*a(a|b){9}")); },
              ThrowsMessage<Unsupported>(HasSubstr("work")));
}

TEST_F(JsonSchema, EnumsMayBeLong) {
  Json list = Json::array();
  for (int i = 0; i < 3000; ++i) list.push_back(i * 7919);
  const auto source = Json({{"enum", list}}).dump();
  expect(source, {"0", "7919", "23749081"},
         {"1", "7918", "7919.5", "79190000"});
}

TEST_F(JsonSchema, LargeBoundsAreRefusedInTime) {
  EXPECT_THROW(accepts(R"({"minItems":1000000000})", ""), Unsupported);
  EXPECT_THROW(accepts(R"({"minLength":1000000000,"type":"string"})", ""),
               Unsupported);
  EXPECT_THROW(
      accepts(R"({"maxLength":1000000000,"pattern":"a","type":"string"})", ""),
      Unsupported);
  EXPECT_TRUE(accepts(R"({"maxLength":1000000000,"type":"string"})", "\"a\""));
}

}  // namespace
}  // namespace skua::test
