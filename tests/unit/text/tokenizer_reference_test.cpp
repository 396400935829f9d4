#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace skua {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer,
                   const Ids& ids, bool skip_special) {
  Detokenizer detokenizer(tokenizer, skip_special);
  std::string text;
  for (const auto id : ids) text += detokenizer.push(id);
  return text + detokenizer.finish();
}

// Compares everything in one fixture; returns the number of comparisons.
int compare(const fs::path& fixture) {
  const Json expected = read_json(fixture);
  const auto tokenizer = parse_tokenizer_json(
      test::read_text(expected.at("tokenizer").get<std::string>()),
      fixture.filename().string());
  int n = 0;
  for (const auto& item : expected.at("cases")) {
    const auto text = item.at("text").get<std::string>();
    SCOPED_TRACE(fixture.filename().string() + ": " + dump_json(item["text"]));
    EXPECT_EQ(tokenizer->encode(text, {.add_special = false}),
              item.at("ids").get<Ids>());
    EXPECT_EQ(tokenizer->encode(text), item.at("with_special").get<Ids>());
    EXPECT_EQ(
        tokenizer->encode(text, {.add_special = false, .parse_special = false}),
        item.at("as_text").get<Ids>());
    n += 3;
  }
  for (const auto& item : expected.at("decoded")) {
    const auto ids = item.at("ids").get<Ids>();
    SCOPED_TRACE(fixture.filename().string() + ": " + dump_json(item["ids"]));
    EXPECT_EQ(tokenizer->decode(ids), item.at("text").get<std::string>());
    EXPECT_EQ(tokenizer->decode(ids, true),
              item.at("skipped").get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids, false),
              item.at("text").get<std::string>());
    n += 3;
  }
  return n;
}

// The one tokenizer.json among the assets that is not compared: the reference
// refuses it too, and counts ids behind a hole anew where it does not.
TEST(TokenizerReference, AddedTokensBehindAHoleKeepTheirIds) {
  SKUA_ASSET_OR_SKIP(path, "tokenizers/added-tokens/tokenizer.json");
  Json json = read_json(path);
  EXPECT_THROW(parse_tokenizer_json(json.dump(), "file"), InvalidInput);
  json["model"]["merges"] = Json::array();
  const auto tokenizer = parse_tokenizer_json(json.dump(), "file");
  for (const auto& token : json["added_tokens"])
    EXPECT_EQ(tokenizer->encode(token["content"].get<std::string>(),
                                {.add_special = false}),
              std::vector{token["id"].get<std::int32_t>()});
  EXPECT_EQ(tokenizer->size(), 32011);
}

TEST(TokenizerReference, EqualsHuggingFaceTokenizers) {
  const char* folder = std::getenv("SKUA_TOKENIZER_FIXTURES");
  if (!folder)
    GTEST_SKIP() << "SKUA_TOKENIZER_FIXTURES is not set; "
                    "tools/make_tokenizer_fixtures.py writes them";
  int n_tokenizers = 0, n_results = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".json") || name.ends_with(".tokenizer.json")) continue;
    n_results += compare(entry.path());
    ++n_tokenizers;
  }
  EXPECT_GT(n_tokenizers, 0);
  std::cout << n_tokenizers << " tokenizers, each with its number as the seed, "
            << n_results << " results compared\n";
}

}  // namespace
}  // namespace skua
