#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "base/json.h"
#include "skua/error.h"
#include "tests/sanitized.h"
#include "tests/support.h"
#include "text/charsmap.h"
#include "text/tokenizer.h"
#include "text/trie.h"

namespace skua {
namespace {

using test::scaled;
namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;
using testing::HasSubstr;

constexpr std::size_t kLength = scaled(1 << 20, 16);

std::string repeated(const std::string& part) {
  std::string text;
  while (text.size() < kLength) text += part;
  return text;
}

std::shared_ptr<const Tokenizer> load(const fs::path& path) {
  if (path.extension() == ".gguf") return load_tokenizer(GgufFile(path));
  return fs::is_directory(path) ? load_tokenizer(path)
                                : load_tokenizer_file(path);
}

// Whether others have the same parts but for what stands behind encoding.
bool is_variant(std::string_view file) {
  for (const char* start : {"cut-", "pad-", "post-", "decode-"})
    if (file.starts_with(start)) return true;
  for (const char* end : {"-unigram", "-word-level", "-nfkc-lower"})
    if (file.ends_with(std::string(end) + ".tokenizer.json")) return true;
  return false;
}

// The references' fixtures: every kind of part, model and vocabulary.
std::vector<fs::path> fixtures() {
  std::vector<fs::path> paths;
  for (const char* name : {"SKUA_PIPELINE_FIXTURES", "SKUA_VOCAB_FIXTURES"}) {
    const char* folder = std::getenv(name);
    if (!folder) {
      std::cout << name << " is not set\n";
      continue;
    }
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string file = entry.path().filename().string();
      const bool is_tokenizer =
          !file.ends_with(".json") || file.ends_with(".tokenizer.json");
      if (is_tokenizer && !is_variant(file)) paths.push_back(entry.path());
    }
  }
  return paths;
}

// What takes quadratic time does not end here.
TEST(TokenizerLimits, AMegabyteOfOneThingIsNoMoreWorkThanOfAnother) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers");
  int n_texts = 0;
  for (const char* file :
       {"ggml-vocab/ggml-vocab-gpt-2.gguf",
        "ggml-vocab/ggml-vocab-bert-bge.gguf", "t5-small/tokenizer.json",
        "phi-3-mini/tokenizer.json", "llama3/llama2_sentencepiece.model"}) {
    const auto tokenizer = load(folder / file);
    for (const char* part : {"a", " ", "\xf0\x9f\x98\x80", "\xcc\x81", "<s>"}) {
      const std::string text = repeated(part);
      const Ids ids = tokenizer->encode(text, {.add_special = false});
      EXPECT_LE(ids.size(), 4 * text.size()) << file;
      EXPECT_LE(tokenizer->decode(ids).size(), 16 * text.size());
      ++n_texts;
    }
    EXPECT_EQ(tokenizer->encode_with_offsets(repeated("ab \xcc\x81")).ids,
              tokenizer->encode(repeated("ab \xcc\x81")));
  }
  std::cout << n_texts << " texts of " << kLength << " bytes\n";
}

TEST(TokenizerLimits, RunsAreShortWorkForEveryPartAndModel) {
  int n_texts = 0;
  for (const fs::path& path : fixtures()) {
    const auto tokenizer = load(path);
    for (const char* part : {"a", " ", "\xf0\x9f\x98\x80", "\n "}) {
      const std::string text = repeated(part).substr(0, kLength / 16);
      const Ids ids = tokenizer->encode(text, {.add_special = false});
      EXPECT_LE(ids.size(), 4 * text.size()) << path;
      ++n_texts;
    }
  }
  std::cout << n_texts << " texts of " << kLength / 16 << " bytes\n";
}

Json added_token(int id, const char* text, bool flag) {
  return {{"id", id},        {"content", text}, {"single_word", false},
          {"lstrip", flag},  {"rstrip", flag},  {"normalized", false},
          {"special", false}};
}

TEST(TokenizerLimits, AddedTokensThatTakeSpacesTakeEachOnce) {
  Json json = {
      {"model",
       {{"type", "WordLevel"}, {"vocab", {{"?", 0}}}, {"unk_token", "?"}}},
      {"added_tokens",
       {added_token(1, "  ", true), added_token(2, "x", true)}}};
  const auto tokenizer = parse_tokenizer_json(json.dump(), "json");
  const std::string text = repeated("  ") + "x" + repeated(" ") + "y";
  const Encoding encoding = tokenizer->encode_with_offsets(text);
  EXPECT_EQ(encoding.ids, (Ids{1, 2, 0}));
  EXPECT_EQ(encoding.offsets[0], (SourceSpan{0, kLength}));
  EXPECT_EQ(encoding.offsets[1], (SourceSpan{kLength, 2 * kLength + 1}));
  EXPECT_EQ(encoding.offsets[2],
            (SourceSpan{2 * kLength + 1, 2 * kLength + 2}));
}

TEST(TokenizerLimits, AWordWithoutATokenAndWithoutUnkIsAnError) {
  for (const char* kind : {"WordLevel", "WordPiece"}) {
    const Json json = {
        {"model", {{"type", kind}, {"vocab", {{"a", 0}}}, {"unk_token", "?"}}}};
    const auto tokenizer = parse_tokenizer_json(json.dump(), "json");
    EXPECT_EQ(tokenizer->encode("a"), Ids{0});
    EXPECT_THROW(tokenizer->encode("b"), InvalidInput) << kind;
  }
  const Json json = {{"model",
                      {{"type", "Unigram"},
                       {"vocab", Json::array({Json::array({"a", -1.0})})}}}};
  const auto tokenizer = parse_tokenizer_json(json.dump(), "json");
  EXPECT_EQ(tokenizer->encode("aa"), (Ids{0, 0}));
  EXPECT_THROW(tokenizer->encode("ab"), InvalidInput);
}

TEST(TokenizerLimits, TruncationThatCannotBeDoneIsAnError) {
  Json json = {
      {"model",
       {{"type", "WordLevel"}, {"vocab", {{"?", 0}}}, {"unk_token", "?"}}},
      {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
      {"truncation",
       {{"max_length", 2}, {"stride", 2}, {"strategy", "LongestFirst"}}}};
  const auto tokenizer = parse_tokenizer_json(json.dump(), "json");
  EXPECT_EQ(tokenizer->encode_with_offsets("a b").size(), 2u);
  EXPECT_THROW(tokenizer->encode_with_offsets("a b c"), InvalidInput);
  EXPECT_EQ(tokenizer->encode("a b c").size(), 3u);
  EXPECT_EQ(tokenizer->encode_with_offsets("a b c", {.limit = false}).size(),
            3u);
}

template <typename Read>
std::string message(const Read& read) {
  try {
    read();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no error";
}

TEST(TokenizerLimits, HostileCharsmapsAreRefusedOrFindNothing) {
  using namespace std::string_literals;
  const auto make = [](const std::string& blob) {
    return message([&] { Charsmap(blob, "map"); });
  };
  EXPECT_THAT(make("abc"), HasSubstr("too short"));
  EXPECT_THAT(make("\x08\0\0\0abcd"s), HasSubstr("trie of 8 bytes"));
  EXPECT_THAT(make("\x03\0\0\0abcd"s), HasSubstr("multiple of 4"));
  EXPECT_THAT(make("\x04\0\0\0abcd\xff"s), HasSubstr("UTF-8"));
  const Charsmap far("\x04\0\0\0\xff\xff\xff\xff"s, "map");
  EXPECT_EQ(far.longest("abc").n_bytes, 0u);
  EXPECT_EQ(far.shortest("abc").n_bytes, 0u);
}

TEST(Trie, FindsTheLongestTextAndGoesOnFromAPrefix) {
  const Trie trie({{"a", 1}, {"abc", 2}, {"b", 3}, {"##b", 4}, {"", 5}});
  EXPECT_EQ(trie.longest("abcd", 0).value, 2);
  EXPECT_EQ(trie.longest("abcd", 0).n_bytes, 3u);
  EXPECT_EQ(trie.longest("abd", 0).value, 1);
  EXPECT_EQ(trie.longest("xa", 0).n_bytes, 0u);
  EXPECT_EQ(trie.longest("xab", 2).value, 3);
  EXPECT_EQ(trie.longest("b", 0, trie.walk("##")).value, 4);
  EXPECT_EQ(trie.walk("#x"), 0u);
  EXPECT_TRUE(Trie().empty());
  EXPECT_EQ(Trie().longest("a", 0).n_bytes, 0u);
}

}  // namespace
}  // namespace skua
