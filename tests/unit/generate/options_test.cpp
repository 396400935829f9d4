#include "generate/options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using Options = GenerationOptions;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void refused(const Options& options, const std::string& message,
             int vocab_size = 0) {
  SKUA_EXPECT_ERROR(check(options, vocab_size), InvalidInput, message);
}

// GEN-01
TEST(Options, DefaultsAreThoseOfTheTable) {
  const Options o;
  EXPECT_EQ(o.max_tokens, 256);
  EXPECT_EQ(o.prefill_chunk, 2048);
  EXPECT_EQ(o.temperature, 0);
  EXPECT_EQ(o.top_p, 0);
  EXPECT_EQ(o.min_p, 0);
  EXPECT_EQ(o.min_tokens_to_keep, 1);
  EXPECT_EQ(o.top_k, 0);
  EXPECT_EQ(o.xtc_probability, 0);
  EXPECT_EQ(o.xtc_threshold, 0);
  EXPECT_FALSE(o.xtc_special_tokens);
  EXPECT_EQ(o.repetition_penalty, 1);
  EXPECT_EQ(o.repetition_window, 20);
  EXPECT_EQ(o.presence_penalty, 0);
  EXPECT_EQ(o.presence_window, 20);
  EXPECT_EQ(o.frequency_penalty, 0);
  EXPECT_EQ(o.frequency_window, 20);
  EXPECT_TRUE(o.penalize_prompt);
  EXPECT_TRUE(o.logit_bias.empty());
  EXPECT_TRUE(o.stop.empty() && o.stop_ids.empty());
  EXPECT_FALSE(o.ignore_eos || o.include_stop);
  EXPECT_FALSE(o.seed);
  EXPECT_FALSE(o.logprobs || o.prompt_logprobs);
  EXPECT_EQ(o.top_logprobs, 0);
  EXPECT_EQ(o.time_limit_ms, 0);
  EXPECT_EQ(o.min_tokens, 0);
  EXPECT_EQ(o.no_repeat_ngram, 0);
  EXPECT_EQ(o.typical_p, 0);
  EXPECT_EQ(o.top_n_sigma, 0);
  EXPECT_EQ(o.dry_multiplier, 0);
  EXPECT_EQ(o.mirostat, 0);
  EXPECT_EQ(o.dynatemp_range, 0);
  EXPECT_TRUE(o.suppress_ids.empty() && o.force_ids.empty());
  EXPECT_NO_THROW(check(o));
  EXPECT_NO_THROW(check(o, 1));
}

// GEN-02
TEST(Options, TemperatureIsFiniteAndNotNegative) {
  for (const double bad : {-0.1, kNan, kInf})
    refused({.temperature = bad}, "temperature: got ");
  refused({.temperature = -0.1},
          "[options] temperature: got -0.1, expected 0 or more");
  for (const double good : {0.0, 1e-9, 5.0})
    EXPECT_NO_THROW(check({.temperature = good}));
}

// GEN-03
TEST(Options, ProbabilitiesHaveTheirBounds) {
  for (const char* name :
       {"top_p", "min_p", "xtc_probability", "typical_p", "xtc_threshold"}) {
    const double most = std::string(name) == "xtc_threshold" ? 0.5 : 1;
    for (const double good : {0.0, most})
      EXPECT_NO_THROW(read_options({{name, good}})) << name;
    for (const double bad : {-1e-3, most + 1e-3, kNan, kInf}) {
      SKUA_EXPECT_ERROR(read_options({{name, bad}}), InvalidInput,
                        std::string(name) + ": got ");
    }
  }
}

// GEN-04
TEST(Options, CountsHaveTheirBounds) {
  refused({.top_k = -1}, "top_k: got -1, expected 0 or more");
  refused({.min_tokens_to_keep = 0}, "min_tokens_to_keep: got 0");
  EXPECT_NO_THROW(check({.min_tokens_to_keep = 50}, 50));
  refused({.min_tokens_to_keep = 51}, "min_tokens_to_keep: got 51", 50);
  EXPECT_NO_THROW(check({.min_tokens_to_keep = 51}));
  EXPECT_NO_THROW(check({.top_k = 99}, 50));
  refused({.top_logprobs = 51}, "top_logprobs: got 51", 50);
  refused({.max_tokens = -1}, "max_tokens: got -1, expected 0 or more");
  refused({.prefill_chunk = 0}, "prefill_chunk: got 0, expected 1 or more");
  refused({.time_limit_ms = -1}, "time_limit_ms: got -1");
  refused({.mirostat = 1}, "mirostat: got 1, expected 0 or 2");
}

// GEN-05
TEST(Options, PenaltiesAreFiniteAndRepetitionAboveZero) {
  for (const double bad : {kNan, kInf}) {
    refused({.repetition_penalty = bad}, "repetition_penalty: got ");
    refused({.presence_penalty = bad}, "presence_penalty: got ");
    refused({.frequency_penalty = bad}, "frequency_penalty: got ");
  }
  refused({.repetition_penalty = 0}, "repetition_penalty: got 0");
  refused({.repetition_window = -1}, "repetition_window: got -1");
  EXPECT_NO_THROW(check({.presence_penalty = -0.5, .frequency_penalty = -2}));
}

// GEN-06
TEST(Options, BiasesAreFiniteOrForbidAndOfTheVocabulary) {
  refused({.logit_bias = {{3, kNan}}}, "logit_bias: got nan");
  refused({.logit_bias = {{3, kInf}}}, "logit_bias: got inf");
  refused({.logit_bias = {{50, 1.0}}},
          "logit_bias: got 50, expected token ids from 0 to 49", 50);
  refused({.logit_bias = {{-1, 1.0}}}, "logit_bias: got -1");
  EXPECT_NO_THROW(check({.logit_bias = {{49, -kInf}}}, 50));
  refused({.stop_ids = {50}}, "stop_ids: got 50", 50);
  refused({.suppress_ids = {50}}, "suppress_ids: got 50", 50);
  refused({.force_ids = {-2}}, "force_ids: got -2", 50);
  refused({.xtc_special_tokens = std::vector<std::int32_t>{50}},
          "xtc_special_tokens: got 50", 50);
}

// GEN-07
TEST(Options, AllThatIsWrongIsReportedTogether) {
  const std::string all =
      "[options] temperature: got -1, expected 0 or more; top_p: got 2, "
      "expected 0 to 1; top_k: got -3, expected 0 or more";
  refused({.temperature = -1, .top_p = 2, .top_k = -3}, all);
  SKUA_EXPECT_ERROR(
      read_options({{"topp", 1}, {"seed", "x"}, {"top_p", 2}}), InvalidInput,
      "[options] topp: got an unknown option, expected one that `skua run "
      "--help` lists; seed: got \"x\", expected a whole number from 0 to "
      "18446744073709551615; top_p: got 2, expected 0 to 1");
}

// GEN-54
TEST(Options, StopsAreNotEmptyAndFew) {
  refused({.stop = {"a", ""}}, "stop: got an empty text");
  refused({.stop = {"\xff"}}, "stop: got a text that is not UTF-8");
  EXPECT_NO_THROW(check({.stop = std::vector<std::string>(64, "a")}));
  refused({.stop = std::vector<std::string>(65, "a")}, "stop: got 65 texts");
  refused({.dry_breakers = {""}}, "dry_breakers: got an empty text");
  refused({.dry_breakers = std::vector<std::string>(257, "a")},
          "dry_breakers: got 257 texts, expected at most 256");
  refused({.stop = {std::string(16385, 'a')}},
          "stop: got a text of 16385 bytes, expected at most 16384");
}

// GEN-09: every field can be read, and one of another kind is refused.
TEST(Options, EveryFieldIsReadByItsName) {
  std::set<std::string> names;
  for (const OptionField& field : option_fields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_EQ(find_option(field.name), &field);
    const Json of_no_kind = Json::array({Json::array({true})});
    SKUA_EXPECT_ERROR(read_options({{field.name, of_no_kind}}), InvalidInput,
                      std::string(field.name) + ": got ");
    EXPECT_NO_THROW(read_options({{field.name, nullptr}}));
  }
  const Options o = read_options(parse_json(
      R"({"max_tokens": 7, "temperature": 1, "include_stop": true,
          "stop": "END", "stop_ids": [1, 2], "seed": 18446744073709551615,
          "logit_bias": {"5": -1.5, "6": "-inf"}, "xtc_special_tokens": [],
          "repetition_context_size": 9,
          "json_schema": {"type": "string", "maxLength": 3}})",
      "options"));
  EXPECT_EQ(o.max_tokens, 7);
  EXPECT_EQ(o.temperature, 1);
  EXPECT_TRUE(o.include_stop);
  EXPECT_EQ(o.stop, std::vector<std::string>{"END"});
  EXPECT_EQ(o.stop_ids, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(o.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(o.logit_bias,
            (std::map<std::int32_t, double>{{5, -1.5}, {6, -kInf}}));
  EXPECT_TRUE(o.xtc_special_tokens && o.xtc_special_tokens->empty());
  EXPECT_EQ(o.repetition_window, 9);
  EXPECT_EQ(o.json_schema, R"({"type":"string","maxLength":3})");
  EXPECT_EQ(read_options({{"json_schema", "true"}}).json_schema, "true");
  const Options called = read_options(parse_json(
      R"({"tools": [{"name": "f"}], "parallel_tool_calls": false,
          "tool_choice": {"type": "function", "function": {"name": "f"}}})",
      "options"));
  EXPECT_EQ(called.tools, R"([{"name":"f"}])");
  EXPECT_EQ(called.tool_choice, "f");
  EXPECT_FALSE(called.parallel_tool_calls);
}

TEST(Options, AnAnswerHasOneConstraintAtMost) {
  refused({.json_schema = "{}", .grammar = "root ::= \"a\""},
          "[options] json_schema: got grammar beside it, expected one of "
          "tools, json_schema, regex, grammar and choice");
  refused({.regex = "a", .choice = {"a"}}, "regex: got choice beside it");
  refused({.choice = {"a", ""}}, "choice: got an empty text");
  refused({.regex = "\xff"}, "regex: got a text that is not UTF-8");
  for (const char* name : {"json_schema", "regex", "grammar", "choice"}) {
    for (const Json& empty : {Json(""), Json::array()}) {
      SKUA_EXPECT_ERROR(read_options({{name, empty}}), InvalidInput,
                        std::string(name) + ": got ");
    }
  }
  const std::string tools = R"([{"name": "f"}])";
  refused({.tools = tools, .regex = "a"}, "tools: got regex beside it");
  EXPECT_NO_THROW(check({.tools = tools, .tool_choice = "none", .regex = "a"}));
  EXPECT_NO_THROW(check({.json_schema = "{}"}));
  EXPECT_NO_THROW(check({.choice = {"a", "b"}}));
}

// GEN-09: the command line refuses the same table in tests/e2e/test_options.py.
TEST(Options, RefusesTheTableOfBadValues) {
  const Json table = read_json(test::source_file("tests/bad_options.json"));
  EXPECT_GT(table.size(), 20U);
  for (const Json& row : table) {
    const auto name = row[0].get<std::string>();
    SKUA_EXPECT_ERROR(read_options({{name, row[2]}}), InvalidInput,
                      "[options] " + row[3].get<std::string>());
    Options options;
    set_option(options, *find_option(name), row[2]);
    refused(options, "[options] " + row[3].get<std::string>());
  }
}

TEST(Options, NumbersOutsideTheirTypeAreRefused) {
  for (const char* bad :
       {R"({"max_tokens": 2147483648})", R"({"max_tokens": 1.5})",
        R"({"max_tokens": -2147483649})", R"({"max_tokens": true})",
        R"({"seed": -1})", R"({"seed": 1e3})", R"({"stop_ids": [1.5]})",
        R"({"stop_ids": 5})", R"({"stop": [5]})", R"({"logit_bias": [1]})",
        R"({"logit_bias": {"x": 1}})", R"({"logit_bias": {"1": "x"}})",
        R"({"ignore_eos": 1})", R"({"temperature": "hot"})", R"([1])"}) {
    EXPECT_THROW(read_options(parse_json(bad, "options")), InvalidInput) << bad;
  }
}

}  // namespace
}  // namespace skua
