#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"
#include "text/detokenizer.h"
#include "text/rank_file.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

namespace skua {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;
using testing::HasSubstr;

struct Count {
  int n_passed = 0, n_all = 0;
};

// One fixture: ids, decoded text, and the same in a stream.
void compare(const fs::path& fixture, Count& count) {
  const Json expected = read_json(fixture);
  const fs::path path = expected["path"].get<std::string>();
  const auto tokenizer = path.extension() == ".gguf"
                             ? load_tokenizer(GgufFile(path))
                             : load_tokenizer(path);
  if (!expected["size"].is_null()) {
    EXPECT_EQ(tokenizer->size(), expected["size"].get<int>()) << fixture;
  }
  int n_shown = 0;
  const auto check = [&](bool equal, const Json& item, const std::string& got) {
    ++count.n_all;
    count.n_passed += equal;
    if (!equal && n_shown++ < 3)
      ADD_FAILURE() << fixture.filename() << ": got " << got << " for "
                    << dump_json(item).substr(0, 400);
  };
  for (const auto& item : expected["cases"]) {
    const auto ids =
        tokenizer->encode(item["text"].get<std::string>(),
                          {.add_special = false, .parse_special = false});
    check(Json(ids) == item["ids"], item, Json(ids).dump());
    if (item["decoded"].is_null()) continue;
    const auto wanted = item["ids"].get<Ids>();
    const std::string decoded = tokenizer->decode(wanted);
    check(Json(decoded) == item["decoded"], item, Json(decoded).dump());
    Detokenizer stream(tokenizer);
    std::string streamed;
    for (const auto id : wanted) streamed += stream.push(id);
    streamed += stream.finish();
    check(streamed == decoded, item, Json(streamed).dump());
  }
}

TEST(VocabularyFiles, EqualSentencePieceTiktokenAndTokenizers) {
  const char* folder = std::getenv("SKUA_VOCAB_FIXTURES");
  if (!folder)
    GTEST_SKIP() << "SKUA_VOCAB_FIXTURES is not set; "
                    "tools/make_vocab_fixtures.py writes them";
  Count all;
  int n_files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    Count count;
    compare(entry.path(), count);
    std::cout << entry.path().stem().string() << ": " << count.n_passed << "/"
              << count.n_all << "\n";
    all.n_passed += count.n_passed;
    all.n_all += count.n_all;
    ++n_files;
  }
  EXPECT_GT(n_files, 0);
  EXPECT_EQ(all.n_passed, all.n_all);
}

// The file's long text; its ids start with `n_special` that are not in the
// vocabulary here.
void compare_long(const Tokenizer& tokenizer, const fs::path& path,
                  std::size_t n_special, std::size_t n_end) {
  const Json expected = read_json(path);
  auto ids = expected.at("token_ids").get<Ids>();
  ids = Ids(ids.begin() + static_cast<std::ptrdiff_t>(n_special),
            ids.end() - static_cast<std::ptrdiff_t>(n_end));
  EXPECT_EQ(tokenizer.encode(expected.at("text").get<std::string>(),
                             {.add_special = false}),
            ids)
      << path;
}

TEST(VocabularyFiles, LongTextsAsTheModelsOwnTokenizers) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers");
  const auto check = [&](const char* file, const char* text, std::size_t begin,
                         std::size_t end) {
    compare_long(*load_tokenizer_file(folder / file), folder / "encoded" / text,
                 begin, end);
  };
  check("llama3/llama3_tokenizer.model", "llama_3.2_encoded.json", 1, 0);
  check("llama3/llama2_sentencepiece.model", "llama_encoded.json", 1, 0);
  check("whisper/gpt2.tiktoken", "gpt2_encoded_tokens.json", 0, 0);
  check("whisper/multilingual.tiktoken", "whisper_large_v2_encoded.json", 2, 1);
  check("t5-small/tokenizer.json", "t5_base_encoded.json", 0, 1);
}

template <typename Error, typename Read>
std::string message(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    return error.what();
  }
  return "no such error";
}

TEST(VocabularyFiles, HostileRankFilesAreRefused) {
  const auto read = [](const std::string& text) {
    return message<InvalidInput>([&] { read_rank_file(text, "ranks"); });
  };
  EXPECT_THAT(read(""), HasSubstr("no tokens"));
  EXPECT_THAT(read("IQ== 0\nIg==\n"), HasSubstr("'Ig=='"));
  EXPECT_THAT(read("I?== 0\n"), HasSubstr("I?=="));
  EXPECT_THAT(read("IQ== 0x\n"), HasSubstr("0x"));
  EXPECT_THAT(read("IQ== -1\n"), HasSubstr("-1"));
  EXPECT_THAT(read("IQ== 99999999999999999999\n"), HasSubstr("99999"));
  EXPECT_THAT(read("IQ== 16777216\n"), HasSubstr("16777216"));
  EXPECT_THAT(read("IQ== 0\nIg== 0\n"), HasSubstr("twice"));
  const RankedTokens few = read_rank_file("IQ== 0\r\nIg== 1", "ranks");
  EXPECT_EQ(few.tokens, (std::vector<std::string>{"!", "\""}));
  EXPECT_THAT(message<InvalidInput>([&] { build_ranked(few, PreKind(), {}); }),
              HasSubstr("byte 0"));
}

TEST(VocabularyFiles, HostileSentencePieceFilesAreRefused) {
  const auto read = [](std::string_view bytes) {
    return message<InvalidInput>([&] { read_sentencepiece(bytes, "model"); });
  };
  EXPECT_THAT(read(""), HasSubstr("no tokens"));
  EXPECT_THAT(read("\x0a"), HasSubstr("inside a number"));
  EXPECT_THAT(read("\x0a\x05"
                   "ab"),
              HasSubstr("past its end"));
  EXPECT_THAT(read("\x0b"), HasSubstr("unknown kind"));
  EXPECT_THAT(read("\x08\x01"), HasSubstr("no text or message"));
  EXPECT_THAT(read(std::string_view("\x0a\x02\x18\x07", 4)),
              HasSubstr("type 7"));
  EXPECT_THAT(read(std::string_view("\x0a\x05\x15\x00\x00\xc0\x7f", 7)),
              HasSubstr("no number"));
  EXPECT_THAT(read("\x12\x02\x18\x05"), HasSubstr("model type 5"));
}

TEST(VocabularyFiles, AFolderWithoutATokenizerSaysWhatIsLookedFor) {
  const test::TempDir folder;
  EXPECT_THAT(message<NotFound>([&] { load_tokenizer(folder.path()); }),
              HasSubstr("tokenizer.json, tokenizer.model"));
  test::write_text(folder.path() / "unheard.tiktoken", "IQ== 0\n");
  EXPECT_THAT(message<Unsupported>([&] { load_tokenizer(folder.path()); }),
              HasSubstr("o200k_base"));
}

}  // namespace
}  // namespace skua
