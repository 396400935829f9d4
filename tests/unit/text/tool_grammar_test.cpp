// Grammars of tool calls: calls they allow and refuse, special tokens, and what
// cannot be enforced.
#include "text/tool_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support.h"
#include "tests/unit/text/grammar_support.h"
#include "tests/unit/text/message_support.h"
#include "tests/unit/text/tool_grammar_support.h"
#include "text/tool_forms.h"

namespace skua::test {
namespace {

using testing::AllOf, testing::HasSubstr;

TEST(ToolGrammar, CallsAreThoseOfTheToolsAlone) {
  ByteGrammars grammars;
  const auto grammar = grammars.compiler.compile(
      tool_call_grammar(message_format("hermes"), tools()));
  const auto call = [](const std::string& json) {
    return "<tool_call>\n" + json + "\n</tool_call>";
  };
  const auto now = call(R"({"name": "now", "arguments": {}})");
  EXPECT_TRUE(grammars.accepts(grammar, now));
  EXPECT_TRUE(grammars.accepts(grammar, now + "\n" + now));
  EXPECT_TRUE(grammars.accepts(grammar, "<think>\nHm.\n</think>\n\n" + now));
  EXPECT_TRUE(grammars.accepts(
      grammar, call(R"({"name": "get_weather", "arguments": {"city": "A",)"
                    R"( "unit": "C", "days": 14}})")));
  for (const char* json :
       {R"({"name": "then", "arguments": {}})",
        R"({"name": "now", "arguments": {"a": 1}})",
        R"({"name": "get_weather", "arguments": {"city": "A"}})",
        R"({"name": "get_weather", "arguments": {"city": "A", "unit": "K"}})",
        R"({"name": "get_weather", "arguments": {"city": "A", "unit": "C",)"
        R"( "days": 15}})"})
    EXPECT_FALSE(grammars.accepts(grammar, call(json))) << json;
  EXPECT_FALSE(grammars.accepts(grammar, "Hello"));
  EXPECT_FALSE(grammars.accepts(grammar, ""));
}

TEST(ToolGrammar, OneCallAtMostWhereNoMoreAreWanted) {
  ByteGrammars grammars;
  const std::string hermes =
      "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  const std::string granite = R"({"name": "now", "arguments": {}})";
  for (const bool required : {true, false}) {
    const auto grammar_of = [&](const char* format) {
      return grammars.compiler.compile(
          tool_call_grammar(message_format(format), tools(),
                            {.required = required, .parallel = false}));
    };
    EXPECT_TRUE(grammars.accepts(grammar_of("hermes"), hermes));
    EXPECT_FALSE(
        grammars.accepts(grammar_of("hermes"), hermes + "\n" + hermes));
    EXPECT_TRUE(grammars.accepts(grammar_of("granite"),
                                 "<|tool_call|>[" + granite + "]"));
    EXPECT_FALSE(
        grammars.accepts(grammar_of("granite"),
                         "<|tool_call|>[" + granite + ", " + granite + "]"));
  }
}

TEST(ToolGrammar, TextWithoutCallsIsAllThatIsLeftWithoutTools) {
  ByteGrammars grammars;
  for (const auto& format : message_formats()) {
    if (format.calls.empty()) continue;
    const auto grammar = grammars.compiler.compile(
        tool_call_grammar(format, Json::array(), {.required = false}));
    const std::string open(call_forms(format).front().content_open);
    EXPECT_TRUE(grammars.accepts(grammar, open + "Hello")) << format.name;
    for (const auto& call : format.calls) {
      const bool at_border = call.at_border;
      const std::string text =
          (at_border ? "" : open + "Hello ") + std::string(call.open);
      EXPECT_FALSE(grammars.accepts(grammar, text)) << text;
    }
  }
}

TEST(ToolGrammar, OtherArgumentsComeWhereTheSchemaSpeaksOfThem) {
  ByteGrammars grammars;
  const auto accepts = [&](Json parameters, const std::string& arguments) {
    const Json tool = {{"name", "f"}, {"parameters", std::move(parameters)}};
    return grammars.accepts(
        tool_call_grammar(message_format("hermes"), Json::array({tool})),
        "<tool_call>\n{\"name\": \"f\", \"arguments\": " + arguments +
            "}\n</tool_call>");
  };
  Json schema = Json::parse(R"({"properties": {"a": {"type": "integer"}}})");
  EXPECT_TRUE(accepts(schema, R"({"a": 1})"));
  EXPECT_FALSE(accepts(schema, R"({"a": 1, "b": 2})"));
  schema["additionalProperties"] = true;
  EXPECT_TRUE(accepts(schema, R"({"a": 1, "b": 2})"));
  EXPECT_TRUE(accepts({{"type", "object"}}, R"({"b": 2})"));
  EXPECT_FALSE(accepts(Json(), R"({"b": 2})"));
}

TEST(ToolGrammar, ReasoningComesFirstWhereItMay) {
  ByteGrammars grammars;
  const std::string call =
      "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  for (const bool may : {true, false}) {
    const auto grammar = grammars.compiler.compile(tool_call_grammar(
        message_format("hermes"), tools(), {.reasoning = may}));
    EXPECT_TRUE(grammars.accepts(grammar, call));
    EXPECT_EQ(grammars.accepts(grammar, "<think>Hm.</think>" + call), may);
  }
}

TEST(ToolGrammar, ReasoningThatThePromptBeganIsEndedFirst) {
  ByteGrammars grammars;
  const auto grammar = grammars.compiler.compile(tool_call_grammar(
      message_format("hermes"), tools(), {.open_marker = "<think>"}));
  const std::string call =
      "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  EXPECT_TRUE(grammars.accepts(grammar, "Hm.</think>\n\n" + call));
  EXPECT_FALSE(grammars.accepts(grammar, call));
}

// The prompt ends with "<|start|>assistant".
TEST(ToolGrammar, ChannelsOfGptOssBeginBehindThePromptsStart) {
  ByteGrammars grammars;
  const auto& format = message_format("gpt_oss");
  const auto grammar = grammars.compiler.compile(
      tool_call_grammar(format, tools(), {.open_marker = "<|start|>"}));
  const std::string text =
      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
      "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}";
  EXPECT_TRUE(grammars.accepts(grammar, text));
  EXPECT_EQ(
      show(parse(format, text, {.tools = tools(), .open_marker = "<|start|>"})),
      "R[Hm.] C[] call_0=now{}");
}

TEST(ToolGrammar, SpecialTokensMayComeInMarksAlone) {
  Json json = {{"model",
                {{"type", "WordLevel"},
                 {"vocab", {{"{\"name\":", 0}, {"x", 1}}},
                 {"unk_token", "x"}}}};
  json["added_tokens"] = Json::array();
  for (const char* text : {"[TOOL_CALLS]", "[ARGS]", "[IMG]", "</s>"})
    json["added_tokens"].push_back({{"id", 2 + json["added_tokens"].size()},
                                    {"content", text},
                                    {"special", true}});
  const auto tokenizer = parse_tokenizer_json(json.dump(), "test");
  GrammarCompiler compiler(*tokenizer, {5}, tokenizer->size());
  GrammarMatcher matcher(compiler.compile(tool_call_grammar(
      message_format("mistral"), Json::parse(R"([{"name": "x"}])"))));
  const auto allowed = [&] {
    std::vector<std::uint32_t> bits(1);
    matcher.fill_mask(bits);
    return bits[0];
  };
  EXPECT_EQ(allowed(), 1u << 2);
  ASSERT_TRUE(matcher.accept(2));
  EXPECT_EQ(allowed(), 1u << 1);
  ASSERT_TRUE(matcher.accept(1));
  EXPECT_EQ(allowed(), 1u << 3);
  GrammarMatcher other(compiler.compile(choice({"[ARGS]", "x"})));
  EXPECT_FALSE(other.accept(3));
  EXPECT_TRUE(other.accept(1));
}

TEST(ToolGrammar, WhatCannotBeEnforcedIsRefusedByName) {
  const auto refusal = [](const char* format, const char* parameters) {
    return error_of([&] {
      const Json tool = {{"name", "f"},
                         {"parameters", Json::parse(parameters)}};
      check(tool_call_grammar(message_format(format), Json::array({tool})));
    });
  };
  const auto with = [](const std::string& schema) {
    return R"({"type": "object", "properties": {"a": )" + schema + "}}";
  };
  EXPECT_THAT(refusal("plain", "{}"), HasSubstr("'plain'"));
  EXPECT_THAT(refusal("hermes", with(R"({"$ref": "x.json"})").c_str()),
              AllOf(HasSubstr("'f'"), HasSubstr("#/properties/a/$ref")));
  EXPECT_THAT(refusal("hermes", R"({"type": "array"})"), HasSubstr("array"));
  EXPECT_THAT(refusal("hermes", R"({"$ref": "#/$defs/a"})"), HasSubstr("$ref"));
  for (const char* schema : {R"({"type": "string", "minLength": 3})",
                             R"({"type": ["string", "integer"], "minimum": 3})",
                             R"({"enum": ["a", 1]})", R"({"const": "\na"})",
                             R"({"enum": ["</parameter>"]})"})
    EXPECT_THAT(refusal("qwen3_coder", with(schema).c_str()),
                AllOf(HasSubstr("'f'"), HasSubstr("'a'")))
        << schema;
  EXPECT_THAT(refusal("qwen3_coder", R"({"minProperties": 1})"),
              HasSubstr("minProperties"));
  EXPECT_THAT(refusal("qwen3_coder", R"({"required": ["b"]})"),
              HasSubstr("required"));
  EXPECT_EQ(refusal("hermes", with(R"({"type": "string",
    "minLength": 3})")
                                  .c_str()),
            "no error");
}

TEST(ToolGrammar, BadToolsAreRefused) {
  const auto refusal = [](const char* list) {
    return error_of([&] {
      check(tool_call_grammar(message_format("hermes"), Json::parse(list)));
    });
  };
  EXPECT_THAT(refusal("[]"), HasSubstr("none"));
  EXPECT_THAT(refusal("[{}]"), HasSubstr("tools[0]"));
  EXPECT_THAT(refusal(R"([{"name": "a b"}])"), HasSubstr("'a b'"));
  EXPECT_THAT(refusal(R"([{"name": "a"}, {"name": "a"}])"), HasSubstr("twice"));
  EXPECT_THAT(refusal(R"([{"name": "a", "parameters": 5}])"),
              HasSubstr("parameters"));
  EXPECT_THAT(error_of([] {
                add_tool_calls(*std::make_unique<GrammarRules>(),
                               Json::parse(R"({"format": 1})"));
              }),
              HasSubstr("format"));
  EXPECT_THAT(error_of([] {
                check(tool_call_grammar(message_format("hermes"), tools(),
                                        {.open_marker = "<"}));
              }),
              HasSubstr("'<' is no mark"));
}

}  // namespace
}  // namespace skua::test
