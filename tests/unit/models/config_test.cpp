#include "models/config.h"

#include <gtest/gtest.h>

#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

Config make(const char* text) {
  return Config(Json::parse(text), "config.json");
}

TEST(Config, SizesAreIntegersFromOneTo2To30) {
  EXPECT_EQ(make(R"({"n": 1})").size("n"), 1);
  EXPECT_EQ(make(R"({"n": 1073741824})").size("n"), 1 << 30);
  for (const char* bad :
       {"0", "-1", "1073741825", "18446744073709551615", "-9223372036854775808",
        "1.0", "\"1\"", "true", "[1]"}) {
    const Config c = make((R"({"n": )" + std::string(bad) + "}").c_str());
    SKUA_EXPECT_ERROR(c.size("n"), InvalidInput, "[config.json] n is ");
    EXPECT_THROW(c.size_or("n", 7), InvalidInput) << bad;
  }
}

TEST(Config, NullCountsAsAbsent) {
  const Config c = make(R"({"n": null})");
  EXPECT_FALSE(c.has("n"));
  EXPECT_EQ(c.find("n"), nullptr);
  EXPECT_EQ(c.size_or("n", 7), 7);
  EXPECT_EQ(c.number_or("n", 0.5), 0.5);
  EXPECT_TRUE(c.flag_or("n", true));
  EXPECT_EQ(c.text_or("n", "t"), "t");
  SKUA_EXPECT_ERROR(c.size("n"), InvalidInput, "[config.json] n is missing");
  SKUA_EXPECT_ERROR(c.number("n"), InvalidInput, "[config.json] n is missing");
  SKUA_EXPECT_ERROR(c.text("n"), InvalidInput, "[config.json] n is missing");
  SKUA_EXPECT_ERROR(c.section("n"), InvalidInput, "[config.json] n is missing");
}

TEST(Config, ValuesOfAnotherKindAreNamed) {
  const Config c = make(R"({"a": "x", "b": 1, "c": {"d": 2}})");
  SKUA_EXPECT_ERROR(c.number("a"), InvalidInput,
                    "a is \"x\", expected a number");
  SKUA_EXPECT_ERROR(c.flag_or("b", true), InvalidInput,
                    "expected true or false");
  SKUA_EXPECT_ERROR(c.text("b"), InvalidInput, "b is 1, expected a string");
  SKUA_EXPECT_ERROR(c.section("b"), InvalidInput,
                    "[config.json b] is expected");
  EXPECT_EQ(c.section("c").size("d"), 2);
  SKUA_EXPECT_ERROR(c.section("c").size("e"), InvalidInput,
                    "[config.json c] e is missing");
  EXPECT_THROW(Config(Json::array(), "config.json"), InvalidInput);
}

// COMP-23
TEST(Config, APartOfEachHeadIsRotated) {
  const auto dims = [](const char* text) {
    return rope_config(make(text), 64, 10000).dims;
  };
  EXPECT_EQ(dims("{}"), 64);
  EXPECT_EQ(dims(R"({"partial_rotary_factor": 0.25})"), 16);
  EXPECT_EQ(dims(R"({"rope_parameters": {"partial_rotary_factor": 0.5}})"), 32);
  EXPECT_EQ(rope_config(make("{}"), 64, 10000, 0.25).dims, 16);
  for (const char* bad : {"0", "-0.5", "1.5"}) {
    const std::string text =
        R"({"partial_rotary_factor": )" + std::string(bad) + "}";
    SKUA_EXPECT_ERROR(rope_config(make(text.c_str()), 64, 10000), InvalidInput,
                      "partial_rotary_factor is");
  }
}

TEST(Config, WithChangesACopy) {
  const Config c = make(R"({"n": 1})");
  EXPECT_EQ(c.with("n", 2).size("n"), 2);
  EXPECT_EQ(c.size("n"), 1);
}

// COMP-23
TEST(Config, HeadDimIsGivenOrDivided) {
  EXPECT_EQ(head_dim(make(R"({"head_dim": 9, "hidden_size": 64,
                              "num_attention_heads": 4})")),
            9);
  EXPECT_EQ(head_dim(make(R"({"hidden_size": 64, "num_attention_heads": 4})")),
            16);
  SKUA_EXPECT_ERROR(
      head_dim(make(R"({"hidden_size": 64, "num_attention_heads": 5})")),
      InvalidInput, "hidden_size 64 is no multiple");
}

// COMP-22
TEST(Config, RopeSettingsComeFromEitherSpelling) {
  const RopeConfig old =
      rope_config(make(R"({"rope_theta": 5e5, "max_position_embeddings": 99,
               "rope_scaling": {"type": "linear", "factor": 2}})"),
                  8, 10000);
  const RopeConfig nested = rope_config(
      make(R"({"rope_parameters": {"rope_theta": 5e5, "type": "linear",
               "factor": 2}, "max_position_embeddings": 99})"),
      8, 10000);
  for (const RopeConfig& c : {old, nested}) {
    EXPECT_EQ(c.dims, 8);
    EXPECT_EQ(c.base, 5e5);
    EXPECT_EQ(c.max_positions, 99);
    EXPECT_EQ(c.scaling.at("type"), "linear");
    EXPECT_EQ(c.scaling.at("factor"), 2);
    EXPECT_FALSE(c.interleaved);
  }
  const RopeConfig none =
      rope_config(make(R"({"rope_scaling": null})"), 8, 12345);
  EXPECT_EQ(none.base, 12345);
  EXPECT_TRUE(none.scaling.is_null());
  EXPECT_TRUE(
      rope_config(make(R"({"rope_traditional": true})"), 8, 1).interleaved);
}

}  // namespace
}  // namespace skua
