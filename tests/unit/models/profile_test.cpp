#include "models/profile.h"

#include <gtest/gtest.h>

#include "nn/cache.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

class ProfileTest : public testing::Test {
 protected:
  ProfileFile read(const std::string& text) const {
    test::write_text(folder_.path() / "skua.toml", text);
    return read_profile(folder_.path());
  }
  std::string refusal(const std::string& text) const {
    try {
      read(text);
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "accepted";
  }

  test::TempDir folder_;
};

// COMP-14
TEST_F(ProfileTest, EveryKeyIsReadWithItsLine) {
  const ProfileFile file = read(
      "# comments, and dots ............................................."
      "................................................................\n"
      "[prefill]\ndtype = \"fast\"\nchunk = 64\n"
      "[decode]\nkv_type = \"int8\"\nmax_kv_size = 500\nkv_keep = 8\n"
      "kv_quantize_from = -1\ncontext = 1_000\n"
      "kv_quantized_type = \"int4\"\n");
  const Profile& p = file.profile;
  EXPECT_EQ(p.precision, Precision::kFast);
  EXPECT_EQ(p.prefill_chunk, 64);
  EXPECT_EQ(p.kv_type, KvType::kInt8);
  EXPECT_EQ(p.max_kv_size, 500);
  EXPECT_EQ(p.kv_keep, 8);
  EXPECT_EQ(p.kv_quantize_from, -1);
  EXPECT_EQ(p.kv_quantized_type, KvType::kInt4);
  EXPECT_EQ(p.context, 1000);
  EXPECT_EQ(file.lines.at("prefill.dtype"), 3);
  EXPECT_EQ(file.lines.at("decode.context"), 10);
  for (const ProfileField& field : profile_fields())
    EXPECT_FALSE(field.text(p).empty()) << field.name();
}

// COMP-14
TEST_F(ProfileTest, LiesInTheFolderOrBesideTheFile) {
  EXPECT_TRUE(read_profile(folder_.path()).path.empty());
  EXPECT_FALSE(read("[decode]\ncontext = 9\n").path.empty());
  const auto gguf = folder_.path() / "model.gguf";
  test::write_text(gguf, "");
  EXPECT_EQ(read_profile(gguf).profile.context, 9);
}

// COMP-14
TEST_F(ProfileTest, WhatIsWrongIsRefusedWithItsLine) {
  const struct {
    const char *text, *line, *what;
  } cases[] = {
      {"\n[sampling]\n", ":2]", "unknown section 'sampling'"},
      {"top = 1\n", ":1]", "unknown section 'top'"},
      {"decode = 1\n", ":1]", "decode is 1, expected a section"},
      {"[[decode]]\n", ":1]", "expected a section"},
      {"[decode]\n\nkv_typ = \"f16\"\n", ":3]", "unknown key 'kv_typ'"},
      {"[prefill]\nkv_type = \"f16\"\n", ":2]", "unknown key 'kv_type'"},
      {"[decode]\nkv_type = \"f17\"\n", ":2]", "decode.kv_type is 'f17'"},
      {"[decode]\nkv_type = 16\n", ":2]", "decode.kv_type is 16"},
      {"[prefill]\ndtype = [\"fast\"]\n", ":2]", "of another kind"},
      {"[prefill]\nchunk = 0\n", ":2]", "prefill.chunk is 0"},
      {"[prefill]\nchunk = \"9\"\n", ":2]", "prefill.chunk is '9'"},
      {"[decode]\ncontext = 4294967297\n", ":2]", "is 4294967297"},
      {"[decode]\ncontext = 1.0\n", ":2]", "a whole number from 0"},
      {"[decode]\ncontext = true\n", ":2]", "a whole number from 0"},
      {"[decode]\nkv_quantize_from = -2\n", ":2]", "kv_quantize_from is -2"},
      {"[decode]\nkv_quantized_type = \"int5\"\n", ":2]", "is 'int5'"},
      {"[decode]\nkv_quantized_type = \"bf16\"\n", ":2]",
       "is 'bf16', expected \"int4\" or \"int8\""},
      {"[decode]\nkv_quantized_type = 4\n", ":2]", "kv_quantized_type is 4"},
      {"[decode]\nmax_kv_size = 4\n", ":2]", "kv_keep is 4"},
      {"[decode]\nmax_kv_size = 4\nkv_keep = 5\n", ":3]", "kv_keep is 5"},
      {"[decode]\ncontext = \n", ":2]", "is no TOML"},
      {"[decode]\ncontext = 1\ncontext = 2\n", ":3]", "is no TOML"},
      {"[decode\n", ":1]", "is no TOML"},
      {"[decode]\nkv_type = \"\xff\"\n", ":2]", "is no TOML"},
  };
  for (const auto& c : cases) {
    const std::string error = refusal(c.text);
    EXPECT_NE(error.find(std::string("skua.toml") + c.line), error.npos)
        << c.text << error;
    EXPECT_NE(error.find(c.what), error.npos) << c.text << error;
  }
}

TEST_F(ProfileTest, HostileFilesAreRefused) {
  const auto repeated = [](std::size_t n, const std::string& part) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += part;
    return text;
  };
  EXPECT_NE(refusal(repeated(200'000, "a.") + "a = 1\n").find(":1]"),
            std::string::npos);
  EXPECT_NE(refusal("[" + repeated(200'000, "\"#\".") + "a]\n").find(":1]"),
            std::string::npos);
  EXPECT_NE(refusal("a = " + repeated(500'000, "[")).find(":1]"),
            std::string::npos);
  EXPECT_NE(refusal("a = " + repeated(100'000, "{a=")).find(":1]"),
            std::string::npos);
  EXPECT_NE(refusal(repeated(60'000, "[[a]]\n")).find("unknown section"),
            std::string::npos);
  EXPECT_NE(refusal(repeated(1 << 20, "#\n")).find("skua.toml"),
            std::string::npos);
}

// COMP-14
TEST_F(ProfileTest, WhatIsGivenGoesOverTheFileAndThatOverTheDefaults) {
  const ProfileFile file = read("[decode]\nkv_keep = 8\nmax_kv_size = 40\n");
  const Profile given{.kv_type = KvType::kF16, .max_kv_size = 0};
  const Profile all = given.over(file.profile).over(default_profile());
  EXPECT_EQ(all.kv_type, KvType::kF16);
  EXPECT_EQ(all.max_kv_size, 0);
  EXPECT_EQ(all.kv_keep, 8);
  EXPECT_EQ(all.context, 0);
  for (const ProfileField& field : profile_fields())
    EXPECT_FALSE(field.text(all).empty()) << field.name();

  const CacheOptions plain = Profile{}.cache_options();
  EXPECT_EQ(plain.kv_type, KvType::kBf16);
  EXPECT_EQ(plain.quantize_from, CacheOptions{}.quantize_from);
  EXPECT_EQ(Profile{.kv_quantize_from = 0}.cache_options().quantize_from, 0);
  EXPECT_EQ(plain.quantized_type, KvType::kInt8);
  EXPECT_EQ(Profile{.kv_quantized_type = KvType::kInt4}
                .cache_options()
                .quantized_type,
            KvType::kInt4);
}

}  // namespace
}  // namespace skua
