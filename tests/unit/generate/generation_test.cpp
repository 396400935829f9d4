#include "generate/generation.h"

#include <gtest/gtest.h>

#include "models/load.h"
#include "skua/error.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using Ids = std::vector<std::int32_t>;

struct Answer {
  Ids ids;           // of the pieces that have one
  std::string text;  // of all pieces
  FinishReason reason = FinishReason::kNone;
  GenerationStats stats;
};

Answer finish(Generation& generation) {
  Answer answer;
  while (const auto piece = generation.next()) {
    answer.text += piece->text;
    if (piece->token >= 0) answer.ids.push_back(piece->token);
  }
  answer.reason = generation.finish_reason();
  answer.stats = generation.stats();
  // The end stays the end.
  EXPECT_EQ(generation.next(), std::nullopt);
  EXPECT_EQ(generation.finish_reason(), answer.reason);
  return answer;
}

class GenerationTest : public testing::Test {
 protected:
  // The greedy story holds this id (a line break) as its 62nd token alone.
  static constexpr int kLineBreak = 13;

  void SetUp() override {
    if (test::asset("lm/stories260K/hf").empty())
      GTEST_SKIP() << "no test asset lm/stories260K/hf";
    golden_ = read_json(test::asset("lm/stories260K/expected.json"));
    loaded_ = load(2);
  }
  std::shared_ptr<const LoadedModel> load(int eos_id) {
    const auto folder = test::stories_folder(eos_id);
    return load_model(folder->path());
  }
  Generation start(const GenerationOptions& options, int context = 512) const {
    return Generation(loaded_, Session(*loaded_->model, context), kPrompt,
                      options);
  }
  Answer run(const GenerationOptions& options, int context = 512) const {
    Generation generation = start(options, context);
    return finish(generation);
  }

  const Ids kPrompt = {1};
  Json golden_;
  std::shared_ptr<const LoadedModel> loaded_;
};

// GEN-47
TEST_F(GenerationTest, GreedyIdsAndTextEqualTheReference) {
  for (const Json& c : golden_["cases"]) {
    const auto want = c["greedy_ids"].get<Ids>();
    Generation generation(loaded_, Session(*loaded_->model, 512),
                          c["prompt_ids"].get<Ids>(),
                          {.max_tokens = static_cast<int>(want.size())});
    const Answer answer = finish(generation);
    EXPECT_EQ(answer.ids, want);
    EXPECT_EQ(answer.reason, FinishReason::kLength);
    const std::string prompt = c["prompt"];
    EXPECT_EQ(prompt + answer.text,
              prompt + loaded_->tokenizer->decode(want, true));
    EXPECT_EQ(answer.stats.n_prompt_tokens,
              static_cast<int>(c["prompt_ids"].size()));
    EXPECT_EQ(answer.stats.n_generated_tokens, static_cast<int>(want.size()));
    EXPECT_EQ(answer.stats.n_cached_tokens, 0);
  }
}

TEST_F(GenerationTest, TextThatContinuesKeepsItsLeadingSpace) {
  // "Once upon", whose story goes on with " a time".
  const Ids prompt = {1, 403, 407};
  const auto run_from = [&](TextStart start) {
    Generation generation(loaded_, Session(*loaded_->model), prompt,
                          {.max_tokens = 2}, start);
    return finish(generation).text;
  };
  const std::string whole = golden_["cases"][0]["text"];
  EXPECT_EQ("Once upon" + run_from(TextStart::kContinues),
            whole.substr(0, std::string("Once upon a time").size()));
  EXPECT_EQ(run_from(TextStart::kFresh), "a time");
}

// GEN-44
TEST_F(GenerationTest, AnEndTokenEndsIsCountedAndIsNotInTheText) {
  loaded_ = load(kLineBreak);
  const Answer answer = run({.max_tokens = 100});
  EXPECT_EQ(answer.reason, FinishReason::kStop);
  EXPECT_EQ(answer.ids.size(), 61u);
  EXPECT_EQ(answer.stats.n_generated_tokens, 62);
  EXPECT_EQ(answer.text.find('\n'), std::string::npos);
  EXPECT_TRUE(answer.text.ends_with("it was too high."));
}

// GEN-43
TEST_F(GenerationTest, NoTokensMeansNoForward) {
  Generation generation = start({.max_tokens = 0});
  const Answer answer = finish(generation);
  EXPECT_EQ(answer.reason, FinishReason::kLength);
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(answer.stats.n_generated_tokens, 0);
  EXPECT_TRUE(generation.take_session().tokens().empty());
}

TEST_F(GenerationTest, OneTokenIsOneToken) {
  const Answer answer = run({.max_tokens = 1});
  EXPECT_EQ(answer.reason, FinishReason::kLength);
  EXPECT_EQ(answer.ids, Ids{403});
  EXPECT_EQ(answer.stats.n_generated_tokens, 1);
}

// GEN-39
TEST_F(GenerationTest, PromptAndAnswerTogetherFillTheContextAndNoMore) {
  for (const int context : {2, 3, 17}) {
    const Answer answer = run({.max_tokens = 100}, context);
    EXPECT_EQ(answer.reason, FinishReason::kLength);
    EXPECT_EQ(static_cast<int>(answer.ids.size() + kPrompt.size()), context);
    const auto want = golden_["cases"][0]["greedy_ids"].get<Ids>();
    EXPECT_TRUE(std::equal(answer.ids.begin(), answer.ids.end(), want.begin()));
  }
  SKUA_EXPECT_ERROR(start({}, 1), InvalidInput,
                    "[prompt] has 1 tokens, expected fewer than the context "
                    "of 1");
}

// GEN-57
TEST_F(GenerationTest, CancelEndsBeforeTheNextToken) {
  Generation at_once = start({});
  at_once.cancel();
  const Answer nothing = finish(at_once);
  EXPECT_EQ(nothing.reason, FinishReason::kCancelled);
  EXPECT_EQ(nothing.stats.n_generated_tokens, 0);

  Generation later = start({});
  std::string text;
  for (int i = 0; i < 5; ++i) text += later.next()->text;
  later.cancel();
  const Answer rest = finish(later);
  EXPECT_EQ(rest.reason, FinishReason::kCancelled);
  EXPECT_EQ(rest.stats.n_generated_tokens, 5);
  const Ids ids = {403, 407, 261, 378, 432};
  EXPECT_EQ(text + rest.text, loaded_->tokenizer->decode(ids, true));
}

// GEN-08, GEN-35
TEST_F(GenerationTest, BadInputIsRefusedBeforeAnyWork) {
  const auto make = [&](const Ids& prompt, const GenerationOptions& options) {
    return Generation(loaded_, Session(*loaded_->model, 512), prompt, options);
  };
  SKUA_EXPECT_ERROR(make({}, {}), InvalidInput, "[prompt] is empty");
  SKUA_EXPECT_ERROR(make({1}, {.temperature = -1}), InvalidInput,
                    "temperature");
  SKUA_EXPECT_ERROR(make(Ids(512, 1), {}), InvalidInput, "512");
  Generation foreign = make({1, 512}, {});
  SKUA_EXPECT_ERROR(foreign.next(), InvalidInput, "token id is 512");
}

TEST_F(GenerationTest, AModelWithoutATokenizerIsNamed) {
  SKUA_ASSET_OR_SKIP(folder, "goldens/lm/llama");
  const auto loaded = load_model(folder);
  SKUA_EXPECT_ERROR(Generation(loaded, Session(*loaded->model), {1}, {}),
                    Unsupported, "has no tokenizer.json");
}

// GEN-29, GEN-30
TEST_F(GenerationTest, TheSameSeedGivesTheSameTokens) {
  const auto sample = [&](std::uint64_t seed) {
    return run({.max_tokens = 40, .temperature = 1, .seed = seed}).ids;
  };
  EXPECT_EQ(sample(1), sample(1));
  EXPECT_NE(sample(1), sample(2));
  EXPECT_NE(sample(1), run({.max_tokens = 40}).ids);
}

// GEN-41
TEST_F(GenerationTest, ASessionThatHoldsTheStartIsContinued) {
  Session session(*loaded_->model, 512);
  session.prefill(Ids{1, 403, 407, 261, 378, 99, 98});
  Generation generation(loaded_, std::move(session),
                        {1, 403, 407, 261, 378, 432}, {.max_tokens = 20});
  const Answer answer = finish(generation);
  EXPECT_EQ(answer.stats.n_cached_tokens, 5);
  const auto all = golden_["cases"][0]["greedy_ids"].get<Ids>();
  EXPECT_EQ(answer.ids, Ids(all.begin() + 5, all.begin() + 25));
}

}  // namespace
}  // namespace skua
