#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <set>

#include "base/json.h"
#include "skua/error.h"
#include "tests/sanitized.h"
#include "tests/support.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace skua {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

// How `encoding` differs from what the reference gave; empty: not at all.
std::string difference(const Encoding& encoding, const Json& expected) {
  const auto differ = [](const char* what, const auto& got, const Json& want) {
    return std::string(what) + ": got " + Json(got).dump() + ", expected " +
           want.dump();
  };
  const auto same = [](const auto& got, const Json& want) {
    return Json(got) == want;
  };
  if (!same(encoding.ids, expected["ids"]))
    return differ("ids", encoding.ids, expected["ids"]);
  if (!same(encoding.type_ids, expected["types"]))
    return differ("types", encoding.type_ids, expected["types"]);
  if (!same(encoding.special_mask, expected["special"]))
    return differ("special mask", encoding.special_mask, expected["special"]);
  if (!same(encoding.attention_mask, expected["attention"]))
    return differ("attention", encoding.attention_mask, expected["attention"]);
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const Json& want = expected["offsets"][i];
    const Ids got = {static_cast<std::int32_t>(encoding.offsets[i].begin),
                     static_cast<std::int32_t>(encoding.offsets[i].end)};
    if (!want.is_null() && Json(got) != want)
      return differ("offsets", got, want) + " at " + std::to_string(i);
  }
  if (encoding.overflowing.size() != expected["overflow"].size())
    return "overflow: got " + std::to_string(encoding.overflowing.size()) +
           ", expected " + std::to_string(expected["overflow"].size());
  for (std::size_t i = 0; i < encoding.overflowing.size(); ++i) {
    const std::string inner =
        difference(encoding.overflowing[i], expected["overflow"][i]);
    if (!inner.empty()) return "overflow " + std::to_string(i) + ": " + inner;
  }
  return "";
}

class Comparison {
 public:
  explicit Comparison(const fs::path& fixture)
      : expected_(read_json(fixture)), name_(fixture.stem().string()) {
    fs::path source = fixture;
    source.replace_extension(".tokenizer.json");
    tokenizer_ = parse_tokenizer_json(test::read_text(source), name_);
  }

  void run() {
    for (const auto& item : expected_["singles"]) single(item);
    for (const auto& item : expected_["pairs"])
      check(item, item["result"], [&] {
        return tokenizer_->encode_pair(text(item["first"]),
                                       text(item["second"]));
      });
    for (const auto& item : expected_["batches"]) batch(item);
    for (const auto& item : expected_["decoded"]) decode(item);
  }

  int n_passed = 0, n_all = 0;

 private:
  static const std::string& text(const Json& value) {
    return value.get_ref<const std::string&>();
  }

  void report(const std::string& wrong, const Json& item) {
    ++n_all;
    if (wrong.empty()) {
      ++n_passed;
    } else if (n_shown_++ < 3) {
      ADD_FAILURE() << name_ << ": " << wrong << "\n for "
                    << dump_json(item).substr(0, 400);
    }
  }

  // A result of null stands for an error.
  template <typename Encode>
  void check(const Json& item, const Json& result, const Encode& encode) {
    std::string wrong;
    try {
      const Encoding encoding = encode();
      wrong = result.is_null() ? "no error" : difference(encoding, result);
    } catch (const InvalidInput& error) {
      if (!result.is_null()) wrong = error.what();
    }
    report(wrong, item);
  }

  void single(const Json& item) {
    const std::string& input = text(item["text"]);
    check(item, item["result"],
          [&] { return tokenizer_->encode_with_offsets(input); });
    check(item, item["plain"], [&] {
      return tokenizer_->encode_with_offsets(input, {.add_special = false});
    });
    // Ids alone take another way and are never cut or padded.
    const bool same =
        tokenizer_->encode(input) ==
        tokenizer_->encode_with_offsets(input, {.limit = false}).ids;
    report(same ? "" : "ids alone are others", item);
  }

  void batch(const Json& item) {
    std::vector<std::string_view> texts;
    for (const auto& input : item["texts"]) texts.push_back(text(input));
    const auto encodings = tokenizer_->encode_batch(texts);
    for (std::size_t i = 0; i < texts.size(); ++i)
      report(difference(encodings[i], item["results"][i]), item["texts"][i]);
  }

  void decode(const Json& item) {
    const auto ids = item["ids"].get<Ids>();
    Detokenizer stream(tokenizer_);
    std::string streamed;
    for (const auto id : ids) streamed += stream.push(id);
    streamed += stream.finish();
    const std::string& want = text(item["text"]);
    const std::string got = tokenizer_->decode(ids);
    report(got == want ? "" : "decoded " + Json(got).dump(), item);
    report(streamed == want ? "" : "streamed " + Json(streamed).dump(), item);
  }

  Json expected_;
  std::string name_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int n_shown_ = 0;
};

TEST(TokenizerPipeline, EqualsHuggingFaceTokenizers) {
  const char* folder = std::getenv("SKUA_PIPELINE_FIXTURES");
  if (!folder)
    GTEST_SKIP() << "SKUA_PIPELINE_FIXTURES is not set; "
                    "tools/make_pipeline_fixtures.py writes them";
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".json") && !name.ends_with(".tokenizer.json"))
      files.insert(entry.path());
  }
  int n_tokenizers = 0, n_passed = 0, n_all = 0, index = 0;
  for (const auto& file : files) {
    // By name: neighbours are one part before different models.
    if (!test::takes(index++, 2)) continue;
    Comparison comparison(file);
    comparison.run();
    ++n_tokenizers;
    n_passed += comparison.n_passed;
    n_all += comparison.n_all;
  }
  EXPECT_GT(n_tokenizers, 0);
  EXPECT_EQ(n_passed, n_all);
  std::cout << n_tokenizers << " tokenizers, each with its number as the seed, "
            << n_passed << " of " << n_all << " results equal\n";
}

}  // namespace
}  // namespace skua
