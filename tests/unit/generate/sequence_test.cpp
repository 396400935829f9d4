#include "generate/sequence.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <chrono>
#include <cmath>
#include <set>
#include <span>
#include <thread>

#include "models/load.h"
#include "skua/error.h"
#include "tests/unit/generate/runner.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"
#include "text/utf8.h"

namespace skua {
namespace {

using test::Answer;
using test::finish;
using test::Ids;
using test::Runner;

class SequenceTest : public testing::Test {
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
  Runner start(const GenerationOptions& options, int context = 512) const {
    return Runner(loaded_, Session(*loaded_->model, context), kPrompt, options);
  }
  Answer run(const GenerationOptions& options, int context = 512) const {
    Runner run = start(options, context);
    return finish(run);
  }

  const Ids kPrompt = {1};
  Json golden_;
  std::shared_ptr<const LoadedModel> loaded_;
};

// GEN-47
TEST_F(SequenceTest, GreedyIdsAndTextEqualTheReference) {
  for (const Json& c : golden_["cases"]) {
    const auto want = c["greedy_ids"].get<Ids>();
    Runner generation(loaded_, Session(*loaded_->model, 512),
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

TEST_F(SequenceTest, TextThatContinuesKeepsItsLeadingSpace) {
  // "Once upon", whose story goes on with " a time".
  const Ids prompt = {1, 403, 407};
  const auto run_from = [&](TextStart start) {
    Runner generation(loaded_, Session(*loaded_->model), prompt,
                      {.max_tokens = 2}, start);
    return finish(generation).text;
  };
  const std::string whole = golden_["cases"][0]["text"];
  EXPECT_EQ("Once upon" + run_from(TextStart::kContinues),
            whole.substr(0, std::string("Once upon a time").size()));
  EXPECT_EQ(run_from(TextStart::kFresh), "a time");
}

// GEN-62: bytes at a prompt's end are not said again.
TEST_F(SequenceTest, WhatTheDetokenizerHoldsOfAPromptIsNotPartOfTheAnswer) {
  const Ids prompt = loaded_->tokenizer->encode("Once upon a time \U0001F999");
  for (const int n : {0, 1, 5}) {
    Runner run(loaded_, Session(*loaded_->model), prompt, {.max_tokens = n},
               TextStart::kContinues);
    const Answer answer = finish(run);
    Ids all = prompt;
    all.insert(all.end(), answer.ids.begin(), answer.ids.end());
    EXPECT_EQ(loaded_->tokenizer->decode(prompt, true) + answer.text,
              loaded_->tokenizer->decode(all, true));
  }
}

// GEN-47, GEN-62: characters of several tokens, cut off anywhere.
TEST_F(SequenceTest, PiecesAreWholeCharactersWhereverTheAnswerEnds) {
  const Ids ids = loaded_->tokenizer->encode("a\u6C49\U0001F999\u5B57z",
                                             {.add_special = false});
  ASSERT_GT(ids.size(), 10u);
  for (std::size_t n = 1; n <= ids.size(); ++n) {
    Runner run = start({.max_tokens = static_cast<int>(n), .force_ids = ids});
    std::string text;
    while (const auto piece = run.next()) {
      EXPECT_EQ(find_invalid_utf8(piece->text), std::string::npos);
      text += piece->text;
    }
    const auto first = std::span(ids).first(n);
    EXPECT_EQ(text,
              loaded_->tokenizer->decode({first.begin(), first.end()}, true))
        << n << " tokens";
  }
}

// GEN-60
TEST_F(SequenceTest, StatisticsAreThoseOfItsPieces) {
  Runner run = start({.max_tokens = 9});
  std::vector<double> times;
  while (const auto piece = run.next()) times.push_back(piece->time_s);
  ASSERT_EQ(times.size(), 9u);
  const GenerationStats stats = run->stats();
  EXPECT_GT(stats.prompt_s, 0);
  EXPECT_LE(stats.prompt_s, times.front());
  EXPECT_EQ(stats.first_token_s, times.front());
  EXPECT_EQ(stats.generate_s, times.back() - times.front());
  EXPECT_EQ(stats.generation_rate(), 8 / stats.generate_s);
  EXPECT_EQ(stats.prompt_rate(), 1 / stats.prompt_s);
  EXPECT_EQ(GenerationStats().prompt_rate(), 0);
  EXPECT_EQ(GenerationStats().generation_rate(), 0);
}

// GEN-61
TEST_F(SequenceTest, PromptLogprobsDoNotDependOnStepsOrOnWhatWasRead) {
  const Ids prompt = {1, 300, 400, 310, 407};
  const auto logprobs = [&](int chunk, bool warm) {
    Session session(*loaded_->model, 512);
    if (warm) session.prefill(prompt);
    Runner run(
        loaded_, std::move(session), prompt,
        {.max_tokens = 3, .prefill_chunk = chunk, .prompt_logprobs = true});
    return finish(run).stats.prompt_logprobs;
  };
  const auto want = logprobs(100, false);
  ASSERT_EQ(want.size(), 4u);
  EXPECT_EQ(logprobs(100, true), want);
  for (const int chunk : {1, 2, 4}) EXPECT_EQ(logprobs(chunk, false), want);
}

// GEN-44
TEST_F(SequenceTest, AnEndTokenEndsIsCountedAndIsNotInTheText) {
  loaded_ = load(kLineBreak);
  const Answer answer = run({.max_tokens = 100});
  EXPECT_EQ(answer.reason, FinishReason::kStop);
  EXPECT_EQ(answer.ids.size(), 62u);
  EXPECT_EQ(answer.ids.back(), kLineBreak);
  EXPECT_EQ(answer.stats.stop_id, kLineBreak);
  EXPECT_EQ(answer.stats.n_generated_tokens, 62);
  EXPECT_EQ(answer.text.find('\n'), std::string::npos);
  EXPECT_TRUE(answer.text.ends_with("it was too high."));
}

// GEN-43
TEST_F(SequenceTest, NoTokensMeansNoForward) {
  Runner generation = start({.max_tokens = 0});
  const Answer answer = finish(generation);
  EXPECT_EQ(answer.reason, FinishReason::kLength);
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(answer.stats.n_generated_tokens, 0);
  EXPECT_TRUE(generation->take_memory().session.tokens().empty());
}

TEST_F(SequenceTest, OneTokenIsOneToken) {
  const Answer answer = run({.max_tokens = 1});
  EXPECT_EQ(answer.reason, FinishReason::kLength);
  EXPECT_EQ(answer.ids, Ids{403});
  EXPECT_EQ(answer.stats.n_generated_tokens, 1);
}

// GEN-39
TEST_F(SequenceTest, PromptAndAnswerTogetherFillTheContextAndNoMore) {
  for (const int context : {2, 3, 17}) {
    const Answer answer =
        run({.max_tokens = 100, .fit_to_context = true}, context);
    EXPECT_EQ(answer.reason, FinishReason::kLength);
    EXPECT_EQ(static_cast<int>(answer.ids.size() + kPrompt.size()), context);
    const auto want = golden_["cases"][0]["greedy_ids"].get<Ids>();
    EXPECT_TRUE(std::equal(answer.ids.begin(), answer.ids.end(), want.begin()));
  }
  SKUA_EXPECT_ERROR(start({}, 1), InvalidInput,
                    "[prompt] has 1 tokens, expected fewer than the context "
                    "of 1");
  SKUA_EXPECT_ERROR(start({.max_tokens = 9}, 9), InvalidInput,
                    "[prompt] has 1 tokens and max_tokens is 9, expected at "
                    "most the context of 9 together; lower max_tokens to 8");
}

// GEN-57
TEST_F(SequenceTest, CancelEndsBeforeTheNextToken) {
  Runner at_once = start({});
  at_once->cancel();
  const Answer nothing = finish(at_once);
  EXPECT_EQ(nothing.reason, FinishReason::kCancelled);
  EXPECT_EQ(nothing.stats.n_generated_tokens, 0);

  Runner later = start({});
  std::string text;
  for (int i = 0; i < 5; ++i) text += later.next()->text;
  later->cancel();
  const Answer rest = finish(later);
  EXPECT_EQ(rest.reason, FinishReason::kCancelled);
  EXPECT_EQ(rest.stats.n_generated_tokens, 5);
  const Ids ids = {403, 407, 261, 378, 432};
  EXPECT_EQ(text + rest.text, loaded_->tokenizer->decode(ids, true));
}

// GEN-35, GEN-36, GEN-39
TEST_F(SequenceTest, BadInputIsRefusedBeforeAnyWork) {
  const auto make = [&](const Ids& prompt, const GenerationOptions& options) {
    return Runner(loaded_, Session(*loaded_->model, 512), prompt, options);
  };
  SKUA_EXPECT_ERROR(make({}, {}), InvalidInput, "[prompt] is empty");
  SKUA_EXPECT_ERROR(make({1}, {.temperature = -1}), InvalidInput,
                    "temperature");
  SKUA_EXPECT_ERROR(make(Ids(512, 1), {}), InvalidInput, "512");
  SKUA_EXPECT_ERROR(make({1, 512}, {}), InvalidInput,
                    "[prompt] token 1 is 512, expected 0 to 511");
}

TEST_F(SequenceTest, AModelWithoutATokenizerIsNamed) {
  SKUA_ASSET_OR_SKIP(folder, "goldens/lm/llama");
  const auto loaded = load_model(folder);
  SKUA_EXPECT_ERROR(Runner(loaded, Session(*loaded->model), {1}, {}),
                    Unsupported, "has no tokenizer.json");
}

// GEN-29, GEN-30
TEST_F(SequenceTest, TheSameSeedGivesTheSameTokens) {
  const auto sample = [&](std::uint64_t seed) {
    return run({.max_tokens = 40, .temperature = 1, .seed = seed}).ids;
  };
  EXPECT_EQ(sample(1), sample(1));
  EXPECT_NE(sample(1), sample(2));
  EXPECT_NE(sample(1), run({.max_tokens = 40}).ids);
}

// GEN-41
TEST_F(SequenceTest, ASessionThatHoldsTheStartIsContinued) {
  Session session(*loaded_->model, 512);
  session.prefill(Ids{1, 403, 407, 261, 378, 99, 98});
  Runner generation(loaded_, std::move(session), {1, 403, 407, 261, 378, 432},
                    {.max_tokens = 20});
  const Answer answer = finish(generation);
  EXPECT_EQ(answer.stats.n_cached_tokens, 5);
  const auto all = golden_["cases"][0]["greedy_ids"].get<Ids>();
  EXPECT_EQ(answer.ids, Ids(all.begin() + 5, all.begin() + 25));
}

// GEN-40
TEST_F(SequenceTest, ACancelledPromptGivesItsMemoryBack) {
  const auto cache = std::make_shared<Cache>(loaded_->model->make_cache());
  GenerationOptions options{.max_tokens = 9, .prefill_chunk = 64};
  int n_done = 0;
  options.prompt_progress = [&](int done, int) { return n_done = done, false; };
  const auto cancel = [&] {
    Runner run(loaded_, Session(*loaded_->model, cache, 512), Ids(400, 5),
               options);
    const Answer answer = finish(run);
    EXPECT_EQ(answer.reason, FinishReason::kCancelled);
    EXPECT_TRUE(answer.ids.empty());
    EXPECT_EQ(n_done, 64);
    EXPECT_GT(cache->n_bytes(), 0u);
  };
  const std::size_t before = mx::get_active_memory();
  for (int i = 0; i < 3; ++i) {
    cancel();
    EXPECT_EQ(cache->n_bytes(), 0u);
    EXPECT_EQ(mx::get_active_memory(), before);
  }
}

// GEN-08
TEST(ScriptedSequence, BadOptionsAreRefusedBeforeAnyForward) {
  const test::Scripted scripted({5, 6}, 1);
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  SKUA_EXPECT_ERROR(Runner(scripted, {1}, {.temperature = -1, .top_k = -1}),
                    InvalidInput, "temperature");
  SKUA_EXPECT_ERROR(Runner(scripted, {1}, {.min_tokens_to_keep = 513}),
                    InvalidInput, "min_tokens_to_keep: got 513");
  EXPECT_EQ(scripted.model->n_steps, 0);
}

// GEN-43, GEN-42
TEST(ScriptedSequence, OnlyWhatIsAskedForIsComputed) {
  const Ids prompt(20, 7);
  const test::Scripted scripted({5, 6, 2}, 20);
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Runner none(scripted, prompt, {.max_tokens = 0});
  EXPECT_EQ(finish(none).reason, FinishReason::kLength);
  EXPECT_EQ(scripted.model->n_steps, 0);
  Runner all(scripted, prompt, {.max_tokens = 3, .prefill_chunk = 6});
  EXPECT_EQ(finish(all).ids, (Ids{5, 6, 2}));
  EXPECT_EQ(scripted.model->n_rows, 20 + 2);
  EXPECT_EQ(scripted.model->n_output_rows, 3);
  EXPECT_EQ(scripted.model->segments,
            (std::vector<std::vector<int>>{{6}, {6}, {6}, {2}, {1}, {1}}));
}

// GEN-40
TEST(ScriptedSequence, ProgressOfThePromptIsToldAndMayCancel) {
  const test::Scripted scripted({5, 6}, 20);
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  std::vector<std::pair<int, int>> seen;
  GenerationOptions options{.max_tokens = 2, .prefill_chunk = 8};
  options.prompt_progress = [&](int done, int total) {
    seen.emplace_back(done, total);
    return true;
  };
  Runner whole(scripted, Ids(20, 7), options);
  finish(whole);
  EXPECT_EQ(seen,
            (std::vector<std::pair<int, int>>{{8, 20}, {16, 20}, {20, 20}}));
  options.prompt_progress = [](int, int) { return false; };
  Runner cancelled(scripted, Ids(20, 7), options);
  const Answer answer = finish(cancelled);
  EXPECT_EQ(answer.reason, FinishReason::kCancelled);
  EXPECT_TRUE(answer.ids.empty());
  EXPECT_EQ(cancelled->take_memory().session.tokens().size(), 8u);
}

// GEN-45
TEST(ScriptedSequence, StopIdsAddToTheEndTokensAndTheseCanBeIgnored) {
  const test::Scripted scripted({5, 2, 6, 7}, 1);
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto ids = [&](const GenerationOptions& options) {
    Runner run(scripted, {1}, options);
    return finish(run);
  };
  EXPECT_EQ(ids({}).ids, (Ids{5, 2}));
  EXPECT_EQ(ids({}).stats.stop_id, 2);
  EXPECT_EQ(ids({.stop_ids = {5}}).ids, Ids{5});
  EXPECT_EQ(ids({.stop_ids = {6}}).ids, (Ids{5, 2}));
  const Answer past = ids({.stop_ids = {7}, .ignore_eos = true});
  EXPECT_EQ(past.ids, (Ids{5, 2, 6, 7}));
  EXPECT_EQ(past.reason, FinishReason::kStop);
  EXPECT_EQ(past.stats.stop_id, 7);
  EXPECT_FALSE(past.stats.stop);
  EXPECT_EQ(ids({.max_tokens = 3, .ignore_eos = true}).reason,
            FinishReason::kLength);
}

// GEN-57, GEN-58
TEST(ScriptedSequence, TimeAndCancelEndItWithWhatThereIs) {
  const test::Scripted scripted([](int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return test::sure_of(421);
  });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Runner timed(scripted, {1}, {.max_tokens = 100000, .time_limit_ms = 20});
  const Answer answer = finish(timed);
  EXPECT_EQ(answer.reason, FinishReason::kTime);
  EXPECT_GE(answer.ids.size(), 1u);
  EXPECT_LT(answer.ids.size(), 100u);
  const std::string text = scripted.loaded->tokenizer->decode(answer.ids, true);
  EXPECT_EQ(answer.text, text);

  Runner cancelled(scripted, {1}, {.max_tokens = 100000});
  cancelled.next();
  std::jthread other([&] { cancelled->cancel(); });
  const Answer rest = finish(cancelled);
  EXPECT_EQ(rest.reason, FinishReason::kCancelled);
}

// GEN-59
TEST(ScriptedSequence, AnErrorComesAfterWhatWasProducedAndOnce) {
  const test::Scripted scripted([](int position) {
    if (position == 4) throw Error("model", "broke");
    return test::sure_of(421);
  });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const std::string four =
      scripted.loaded->tokenizer->decode(Ids(4, 421), true);
  // The last letter is held back until the end.
  Runner run(scripted, {1}, {.stop = {four.substr(four.size() - 1) + "?"}});
  std::string text;
  int n_pieces = 0;
  const auto read = [&] {
    while (const auto piece = run.next()) text += piece->text, ++n_pieces;
  };
  SKUA_EXPECT_ERROR(read(), Error, "[model] broke");
  EXPECT_EQ(text, four);
  EXPECT_EQ(n_pieces, 5);
  EXPECT_EQ(run->finish_reason(), FinishReason::kError);
  EXPECT_EQ(run.next(), std::nullopt);
  const Session session = run->take_memory().session;
  EXPECT_EQ(session.tokens().size(), 4u);
}

// GEN-26, GEN-81
TEST(ScriptedSequence, LogitsThatAreNoNumbersEndOneRunAndNotTheNext) {
  int n_calls = 0;
  const test::Scripted scripted([&n_calls](int) {
    auto logits = test::sure_of(421);
    if (++n_calls == 3) logits[7] = NAN;
    return logits;
  });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Runner bad(scripted, {1}, {.max_tokens = 5});
  EXPECT_THROW(finish(bad), Error);
  Runner good(scripted, {1}, {.max_tokens = 5});
  EXPECT_EQ(finish(good).ids, Ids(5, 421));
}

// GEN-29, GEN-30
TEST(ScriptedSequence, AFreshSeedIsReportedAndNoTwoAreAlike) {
  const test::Scripted scripted([](int) { return std::vector<float>(512); });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  std::set<Ids> all;
  const GenerationOptions options{
      .max_tokens = 6, .temperature = 1, .ignore_eos = true};
  for (int i = 0; i < 8; ++i) {
    Runner run(scripted, {1}, options);
    const Answer answer = finish(run);
    GenerationOptions again = options;
    again.seed = answer.stats.seed;
    Runner rerun(scripted, {1}, again);
    EXPECT_EQ(finish(rerun).ids, answer.ids);
    all.insert(answer.ids);
  }
  EXPECT_EQ(all.size(), 8u);
}

}  // namespace
}  // namespace skua
