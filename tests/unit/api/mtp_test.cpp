#include <gtest/gtest.h>

#include "skua/skua.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/models/tiny_mimo.h"

namespace skua {
namespace {

class MtpOption : public testing::Test {
 protected:
  void SetUp() override {
    const auto golden = test::asset("goldens/lm/mimo");
    stories_ = test::asset("lm/stories260K/hf");
    if (golden.empty() || stories_.empty())
      GTEST_SKIP() << "no test assets goldens/lm/mimo and stories260K";
    test::TinyCheckpoint checkpoint = test::tiny_mimo(golden);
    checkpoint.config["vocab_size"] = 512;  // as the tokenizer's
    for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"})
      checkpoint.add(name, {512, 48}, 0, 0.5f);
    checkpoint.write(folder_.path());
    std::filesystem::copy_file(stories_ / "tokenizer.json",
                               folder_.path() / "tokenizer.json");
  }
  Model load(const ModelOptions& options) const {
    return Model::load(folder_.path().string(), options);
  }
  static std::vector<std::int32_t> ids_of(Stream stream) {
    std::vector<std::int32_t> ids;
    for (const Piece& piece : stream) ids.push_back(piece.token);
    return ids;
  }

  test::TempDir folder_;
  std::filesystem::path stories_;
  const GenerationOptions plain_{.max_tokens = 30, .ignore_eos = true};
};

// SPEC-15
TEST_F(MtpOption, DraftsInStreamsAndBatchesWithoutChangingThem) {
  const Model without = load({});
  EXPECT_EQ(without.default_options().draft_tokens, 0);
  const Model model = load({.mtp = true});
  GenerationOptions options = model.default_options();
  EXPECT_EQ(options.draft_tokens, 4);
  options.max_tokens = 30;
  options.ignore_eos = options.draft_fixed = true;
  BatchStream batch = model.batch();
  std::vector<std::vector<std::int32_t>> want, got(3);
  for (const char* text : {"Once upon", "a", "There was a girl"}) {
    Stream stream = model.complete(text, options);
    want.push_back(ids_of(without.complete(text, plain_)));
    while (stream.next()) {
    }
    EXPECT_GT(stream.stats().draft->n_proposed, 0);
    EXPECT_EQ(ids_of(model.complete(text, options)), want.back());
    EXPECT_EQ(ids_of(model.complete(text, plain_)), want.back());
    batch.add(text, options);
  }
  while (const auto event = batch.next())
    if (event->piece) got[event->row].push_back(event->piece->token);
  EXPECT_EQ(got, want);

  options.prompt_lookup = true;
  EXPECT_EQ(ids_of(model.complete("a", options)), want[1]);
}

TEST_F(MtpOption, DraftsDoNotChangeConstrainedText) {
  const Model without = load({});
  const Model model = load({.mtp = true});
  for (const double temperature : {0.0, 0.9}) {
    GenerationOptions options{.max_tokens = 60,
                              .temperature = temperature,
                              .regex = "The (cat|dog) [a-z ]{20,30}[.]",
                              .seed = 2};
    const auto want = ids_of(without.complete("Once upon", options));
    options.draft_tokens = 4;
    options.draft_fixed = options.draft_by_equality = true;
    Stream stream = model.complete("Once upon", options);
    while (stream.next()) {
    }
    EXPECT_GT(stream.stats().draft->n_proposed, 0);
    EXPECT_EQ(stream.stats().draft->warning, "");
    EXPECT_EQ(ids_of(model.complete("Once upon", options)), want);
  }
}

// SPEC-17
TEST_F(MtpOption, IsRefusedWhereItCannotBe) {
  SKUA_EXPECT_ERROR(load({.draft = stories_.string(), .mtp = true}),
                    InvalidInput, "mtp is on, expected no draft");
  SKUA_EXPECT_ERROR(load({.mtp = true, .oracle = true}), InvalidInput,
                    "oracle is on, expected no draft and no mtp");
  SKUA_EXPECT_ERROR(Model::load(stories_.string(), {.mtp = true}), InvalidInput,
                    "llama has no heads");
  GenerationOptions options = plain_;
  options.draft_tokens = 3;
  SKUA_EXPECT_ERROR(load({}).complete("a", options), InvalidInput,
                    "expected a draft model, mtp or prompt_lookup");
}

}  // namespace
}  // namespace skua
