#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>

#include "skua/error.h"
#include "tests/sanitized.h"
#include "tests/support.h"
#include "tests/unit/text/grammar_support.h"
#include "tests/unit/text/schema_validator.h"

namespace skua::test {
namespace {

constexpr int kSamples = 20;
constexpr int kMaxSampleBytes = 400;

const Json& fixtures() {
  static const Json json = [] {
    const char* folder = std::getenv("SKUA_SCHEMA_FIXTURES");
    return folder ? read_json(std::filesystem::path(folder) /
                              "schema_fixtures.json")
                  : Json();
  }();
  return json;
}

class SchemaFixtures : public ::testing::Test {
 protected:
  void SetUp() override {
    if (fixtures().is_null()) GTEST_SKIP() << "no SKUA_SCHEMA_FIXTURES";
  }

  // Null where the schema is refused or allows nothing.
  std::shared_ptr<const CompiledGrammar> compile(const Json& source) {
    try {
      return grammars.compiler.compile(schema(source.dump()));
    } catch (const Unsupported&) {
      ++refused;
    } catch (const InvalidInput& error) {
      EXPECT_NE(std::string(error.what()).find("no text matches"),
                std::string::npos)
          << source << error.what();
    }
    return nullptr;
  }

  ByteGrammars grammars;
  int refused = 0;
};

TEST_F(SchemaFixtures, NothingInvalidIsAcceptedAndWhatIsValidIs) {
  int valid = 0, accepted = 0, invalid = 0, of_refused = 0, index = 0;
  for (const auto& fixture : fixtures()["schemas"]) {
    if (!takes(index++, 5)) continue;
    const int refused_before = refused;
    const auto grammar = compile(fixture["schema"]);
    for (const auto& test : fixture["tests"]) {
      const Json& data = test["data"];
      // The validator is judged too.
      EXPECT_EQ(is_valid(fixture["schema"], data), test["valid"].get<bool>())
          << fixture["schema"] << data;
      if (refused > refused_before) {
        ++of_refused;
        continue;
      }
      const bool taken =
          grammar && accepts_in_some_order(grammars, grammar, data);
      if (!test["valid"].get<bool>()) {
        ++invalid;
        EXPECT_FALSE(taken) << fixture["schema"] << '\n' << data;
        continue;
      }
      ++valid;
      accepted += taken;
      if (!taken && std::getenv("SKUA_VERBOSE"))
        std::cout << "not accepted: " << fixture["schema"] << "\n    " << data
                  << '\n';
    }
  }
  std::cout << "schemas: " << refused << " of " << fixtures()["schemas"].size()
            << " refused (" << of_refused << " instances); " << accepted
            << " of " << valid << " valid instances accepted, none of "
            << invalid << " invalid ones\n";
  EXPECT_GT(valid, scaled(1000, 5));
  EXPECT_GT(invalid, scaled(1000, 5));
  EXPECT_GE(accepted, valid * 97 / 100);
}

// Whether a number in it has more digits than a double, with which the
// validator computes.
bool has_long_number(const std::string& text) {
  int digits = 0;
  for (const char c : text) {
    if (c != '.') digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 15) return true;
  }
  return false;
}

// A walk along allowed bytes that likes to come to an end.
std::string sample(const ByteGrammars& grammars, GrammarMatcher& matcher,
                   std::mt19937& random) {
  std::string text;
  while (static_cast<int>(text.size()) < kMaxSampleBytes) {
    const auto bits = grammars.mask(matcher);
    std::vector<std::int32_t> all, closing;
    for (std::int32_t id = 0; id < grammars.tokenizer->size(); ++id) {
      if (!(bits[id / 32] >> (id % 32) & 1)) continue;
      all.push_back(id);
      const bool closes = id == grammars.end || id == '"' || id == '}' ||
                          id == ']' || (text.size() < 50 && id == ',');
      if (closes) closing.push_back(id);
    }
    EXPECT_FALSE(all.empty()) << "a dead end: " << text;
    if (all.empty()) return text;
    const auto& from = !closing.empty() && random() % 3 > 0 ? closing : all;
    const auto id = from[random() % from.size()];
    EXPECT_TRUE(matcher.accept(id)) << text << " " << id;
    if (id == grammars.end) return text;
    text += static_cast<char>(id);
  }
  return "";
}

TEST_F(SchemaFixtures, WhatTheMasksAllowIsValid) {
  std::mt19937 random(3);
  int sampled = 0, cut = 0, index = 0;
  for (const auto& fixture : fixtures()["schemas"]) {
    // Others than above.
    if (!takes(index++ + 2, 5)) continue;
    const auto grammar = compile(fixture["schema"]);
    for (int i = 0; grammar && i < kSamples; ++i) {
      GrammarMatcher matcher(grammar);
      const auto text = sample(grammars, matcher, random);
      if (text.empty() || has_long_number(text)) {
        ++cut;
        continue;
      }
      ++sampled;
      EXPECT_TRUE(is_valid(fixture["schema"], parse_json(text, "sample")))
          << fixture["schema"] << '\n'
          << text;
    }
  }
  std::cout << "samples: " << sampled << " valid, " << cut
            << " with too much text or too many digits\n";
  EXPECT_GT(sampled, scaled(2000, 5));
}

TEST_F(SchemaFixtures, PatternsFindWhatPythonFinds) {
  int tests = 0;
  for (const auto& fixture : fixtures()["patterns"]) {
    const auto& pattern = fixture["pattern"].get_ref<const std::string&>();
    const Dfa whole = compile_pattern(pattern, false, "test");
    const Dfa part = compile_pattern(pattern, true, "test");
    const auto grammar = [&]() -> std::shared_ptr<const CompiledGrammar> {
      return whole.empty() ? nullptr
                           : grammars.compiler.compile(regex(pattern));
    }();
    for (const auto& test : fixture["tests"]) {
      const std::string text = test["text"];
      EXPECT_EQ(dfa_accepts(part, to_utf32(text)), test["part"].get<bool>())
          << pattern << " in " << text;
      const bool expected = test["whole"];
      EXPECT_EQ(dfa_accepts(whole, to_utf32(text)), expected)
          << pattern << " as " << text;
      EXPECT_EQ(grammar && grammars.accepts(grammar, text), expected)
          << pattern << " as " << text;
      ++tests;
    }
  }
  std::cout << "patterns: " << tests << " texts as Python's re says\n";
  EXPECT_GT(tests, 1000);
}

}  // namespace
}  // namespace skua::test
