#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "skua/error.h"
#include "tests/sanitized.h"
#include "tests/support.h"

namespace skua {
namespace {

using testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

// Byte fallback, marks for spaces; ids of the merges are 259 + rank.
Json spm_json() {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    vocab[name] = 3 + byte;
  }
  const char* pieces[] = {"\u2581", "a", "b", "c", "ab", "bc", "\u2581a"};
  for (const char* piece : pieces) vocab[piece] = vocab.size();
  Json json = Json::parse(R"({
    "added_tokens": [
      {"id": 1, "content": "<s>", "special": true, "normalized": false},
      {"id": 2, "content": "</s>", "special": true, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "\u2581"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                 {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true,
      "byte_fallback": true,
      "merges": [["b", "c"], ["a", "b"], ["\u2581", "a"]]}})");
  json["model"]["vocab"] = vocab;
  return json;
}

std::shared_ptr<const Tokenizer> parse(const Json& json) {
  return parse_tokenizer_json(json.dump(), "tokenizer.json");
}

template <typename E>
std::string error_of(const Json& json) {
  try {
    parse(json);
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another kind: ") + error.what();
  }
  return "no error";
}

TEST(Tokenizer, MergesByRankNotByPosition) {
  const auto tokenizer = parse(spm_json());
  // "▁abc": (b, c) ranks before (a, b), though it is further right.
  EXPECT_EQ(tokenizer->encode("abc", {.add_special = false}), (Ids{265, 264}));
  EXPECT_EQ(tokenizer->encode("ab", {.add_special = false}), (Ids{259, 263}));
}

TEST(Tokenizer, FallsBackToBytesAndBack) {
  const auto tokenizer = parse(spm_json());
  const Ids ids = tokenizer->encode("a\u00e9", {.add_special = false});
  EXPECT_EQ(ids, (Ids{265, 3 + 0xc3, 3 + 0xa9}));
  EXPECT_EQ(tokenizer->decode(ids), "a\u00e9");
  EXPECT_EQ(tokenizer->token_bytes(3 + 0xc3), "\xc3");
  EXPECT_EQ(tokenizer->token_bytes(265), " a");
  EXPECT_EQ(tokenizer->piece(265), "\u2581a");
  // A run of byte tokens that is no text: one U+FFFD for each byte.
  EXPECT_EQ(tokenizer->decode(Ids{3 + 0xc3, 3 + 0x41, 260}), "\ufffd\ufffda");
}

TEST(Tokenizer, SpecialTokensAreParsedOnlyWhenAsked) {
  const auto tokenizer = parse(spm_json());
  EXPECT_EQ(tokenizer->encode("</s>"), (Ids{1, 2}));
  EXPECT_EQ(tokenizer->encode("", {.add_special = false}), Ids{});
  const Ids text =
      tokenizer->encode("</s>", {.add_special = false, .parse_special = false});
  EXPECT_EQ(text, (Ids{259, 3 + '<', 3 + '/', 3 + 's', 3 + '>'}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 260, 2}, true), "a");
  EXPECT_EQ(tokenizer->decode(Ids{1, 260, 2}), "<s>a</s>");
}

TEST(Tokenizer, NamesTheByteThatIsNotUtf8) {
  const auto tokenizer = parse(spm_json());
  for (const auto& [text, at] : {std::pair<std::string, int>{"ab\xff", 2},
                                 {"\xc3", 0},
                                 {"a\xed\xa0\x80", 1},
                                 {"\xc0\x80", 0},
                                 {"abc\xf4\x90\x80\x80", 3}}) {
    try {
      tokenizer->encode(text);
      ADD_FAILURE() << text;
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("byte " + std::to_string(at)));
    }
  }
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreErrorsOrNoText) {
  const auto tokenizer = parse(spm_json());
  EXPECT_EQ(tokenizer->size(), 266);
  EXPECT_THROW(tokenizer->piece(266), InvalidInput);
  EXPECT_THROW(tokenizer->token_bytes(-1), InvalidInput);
  EXPECT_THROW(tokenizer->is_special(266), InvalidInput);
  EXPECT_EQ(tokenizer->decode(Ids{260, 70000, -1, 261}), "ab");
}

TEST(Tokenizer, DamagedFilesNameTheField) {
  const auto change = [](const char* pointer, const Json& value) {
    Json json = spm_json();
    json[Json::json_pointer(pointer)] = value;
    return error_of<InvalidInput>(json);
  };
  EXPECT_THAT(change("/model/vocab/a", 261),
              HasSubstr("model.vocab] gives id"));
  EXPECT_THAT(change("/model/vocab/a", -1), HasSubstr("out of range, got -1"));
  EXPECT_THAT(change("/model/vocab/a", 4000000000), HasSubstr("out of range"));
  EXPECT_THAT(change("/model/vocab/a", "x"), HasSubstr("expected an integer"));
  EXPECT_THAT(change("/model/merges/0", "a zz"),
              HasSubstr("'zz', which is not in the vocabulary"));
  EXPECT_THAT(change("/model/merges/0", "abc"), HasSubstr("two tokens"));
  EXPECT_THAT(change("/model/merges/0", Json::array({"a"})),
              HasSubstr("model.merges] has a merge"));
  EXPECT_THAT(change("/model/unk_token", "?"), HasSubstr("model.unk_token"));
  EXPECT_THAT(change("/model/merges", nullptr),
              HasSubstr("model.merges] is missing"));
  EXPECT_THAT(change("/model", nullptr), HasSubstr("model] is missing"));
  EXPECT_THAT(change("/added_tokens/0/id", 260), HasSubstr("no error"));
  EXPECT_THAT(change("/added_tokens/0/content", "x"), HasSubstr("id 1 of"));
  EXPECT_THAT(change("/post_processor/special_tokens/<s>/ids/0", 266),
              HasSubstr("got 266, expected 0 or more and less than 266"));
  EXPECT_THAT(change("/normalizer/normalizers/0/prepend", 3),
              HasSubstr("normalizer.normalizers.0.prepend"));
  EXPECT_THROW(parse_tokenizer_json("{\"model\": ", "x"), InvalidInput);
  EXPECT_THROW(parse_tokenizer_json("[]", "x"), InvalidInput);
}

TEST(Tokenizer, UnsupportedPartsAreNamed) {
  const auto change = [](const char* pointer, const Json& value) {
    Json json = spm_json();
    json[Json::json_pointer(pointer)] = value;
    return error_of<Unsupported>(json);
  };
  EXPECT_THAT(change("/model/type", "Neural"), HasSubstr("'Neural'"));
  EXPECT_THAT(change("/normalizer", {{"type", "N"}}), HasSubstr("'N'"));
  EXPECT_THAT(change("/pre_tokenizer", {{"type", "P"}}), HasSubstr("'P'"));
  EXPECT_THAT(change("/decoder", {{"type", "D"}}), HasSubstr("'D'"));
  EXPECT_THAT(change("/post_processor", {{"type", "X"}}), HasSubstr("'X'"));
  EXPECT_THAT(change("/model/dropout", 0.1), HasSubstr("dropout"));
  const auto pattern = [&](const char* regex) {
    return change("/pre_tokenizer", {{"type", "Split"},
                                     {"pattern", {{"Regex", regex}}},
                                     {"behavior", "Isolated"},
                                     {"invert", false}});
  };
  EXPECT_THAT(pattern("[a-z&&[^b]]"), HasSubstr("intersection"));
  EXPECT_THAT(pattern("a{2}+"), HasSubstr("interval"));
}

TEST(Tokenizer, FolderFilesGiveTheSpecialTokens) {
  const test::TempDir folder;
  const auto write = [&](const char* name, const Json& json) {
    test::write_text(folder.path() / name, json.dump());
  };
  EXPECT_THROW(load_tokenizer(folder.path()), NotFound);
  write("tokenizer.json", spm_json());
  EXPECT_FALSE(load_tokenizer(folder.path())->special().eos);
  write("special_tokens_map.json",
        {{"bos_token", {{"content", "<s>"}}}, {"eos_token", "<s>"}});
  write("tokenizer_config.json", {{"eos_token", "</s>"},
                                  {"model_max_length", 1e30},
                                  {"pad_token", nullptr}});
  auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->special().bos, 1);
  EXPECT_EQ(tokenizer->special().eos, 2);
  EXPECT_EQ(tokenizer->special().unk, 0);
  EXPECT_EQ(tokenizer->special().eos_ids, std::set<std::int32_t>{2});
  EXPECT_TRUE(tokenizer->special().add_bos);
  write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"},
                                  {"eos_token", "</s>"},
                                  {"add_bos_token", false},
                                  {"add_eos_token", true}});
  tokenizer = load_tokenizer(folder.path());
  EXPECT_FALSE(tokenizer->special().add_bos);
  EXPECT_EQ(tokenizer->encode("a"), (Ids{265, 2}));
  write("tokenizer_config.json", {{"eos_token", 7}});
  EXPECT_THROW(load_tokenizer(folder.path()), InvalidInput);
}

// GEN-45
TEST(Tokenizer, TheEndOfATurnIsAnEnd) {
  using Ends = std::set<std::int32_t>;
  Json json = spm_json();
  const auto ends = [&] { return parse(json)->special().eos_ids; };
  const auto add = [&](int id, const char* content, bool special) {
    json["added_tokens"].push_back(
        {{"id", id}, {"content", content}, {"special", special}});
  };
  EXPECT_EQ(ends(), Ends{});
  add(300, "<|im_end|>", true);
  add(301, "<|im_start|>", true);
  add(302, "<|eot_id|>", false);
  add(303, "<|end|>", true);
  EXPECT_EQ(ends(), (Ends{300, 303}));
  add(304, "<|return|>", true);
  EXPECT_EQ(ends(), Ends{300});
}

TEST(Tokenizer, LongRunsOfOneCharacterAreNotQuadratic) {
  constexpr std::size_t kLength = test::scaled(1000000, 16);
  Json json = spm_json();
  for (const char* kind : {"", "ByteLevel"}) {
    if (*kind) json["pre_tokenizer"] = {{"type", kind}};
    const auto tokenizer = parse(json);
    for (const std::string unit :
         {"a", "b", " ", "\n", "<", "\u00e9", "\U0001f600", "ab", "a b"}) {
      std::string text;
      while (text.size() < kLength) text += unit;
      const Ids ids = tokenizer->encode(text, {.add_special = false});
      if (!*kind) {
        EXPECT_EQ(tokenizer->decode(ids), text);
      }
    }
  }
}

TEST(Tokenizer, ReplacementsCannotExhaustMemory) {
  Json json = spm_json();
  Json steps = Json::array();
  for (int i = 0; i < 60; ++i)
    steps.push_back({{"type", "Replace"},
                     {"pattern", {{"String", "a"}}},
                     {"content", "aa"}});
  json["normalizer"]["normalizers"] = steps;
  json["decoder"]["decoders"] = steps;
  const auto tokenizer = parse(json);
  EXPECT_THROW(tokenizer->encode("aaaa"), InvalidInput);
  EXPECT_THROW(tokenizer->decode(Ids{260}), InvalidInput);
  for (int i = 0; i < 60; ++i) steps.push_back(steps[0]);
  json["normalizer"]["normalizers"] = steps;
  EXPECT_THAT(error_of<InvalidInput>(json), HasSubstr("too many steps"));
}

}  // namespace
}  // namespace skua
