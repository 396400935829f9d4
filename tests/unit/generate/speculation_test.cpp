#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "generate/distribution.h"
#include "generate/drafter.h"
#include "skua/error.h"
#include "tests/unit/generate/chi_square.h"
#include "tests/unit/generate/runner.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::Answer;
using test::finish;
using test::Ids;
using test::Runner;
using test::Scripted;

DraftModel draft_of(const std::shared_ptr<const LoadedModel>& loaded) {
  return {loaded, std::make_shared<Cache>(loaded->model->make_cache())};
}

class Speculation : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = test::stories_folder();
    if (!folder) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    loaded_ = load_model(folder->path());
  }
  // Without a draft model: plain, or prompt lookup where options say so.
  Answer run(const Ids& prompt, const GenerationOptions& options,
             const DraftModel* draft = nullptr) const {
    Runner run(loaded_, Session(*loaded_->model, 512), prompt, options,
               TextStart::kFresh, draft);
    return finish(run);
  }

  std::shared_ptr<const LoadedModel> loaded_;
};

// SPEC-01: many rows of a step may round otherwise than one, but not here.
TEST(RoundedSpeculation, LogprobsHaveTheBitsOfPlainDecoding) {
  const auto golden = test::asset("goldens/lm/llama_q4g64_bf16");
  const auto tokenizer = test::asset("lm/stories260K/hf");
  if (golden.empty() || tokenizer.empty())
    GTEST_SKIP() << "no test assets goldens/lm and stories260K";
  const test::TempDir folder;
  for (const auto& file : {golden / "config.json", golden / "model.safetensors",
                           tokenizer / "tokenizer.json"})
    std::filesystem::copy_file(file, folder.path() / file.filename());
  const auto loaded =
      load_model(folder.path(), {.precision = Precision::kDefault});
  const auto run = [&](const GenerationOptions& options) {
    Runner run(loaded, Session(*loaded->model, 512), {5, 6, 7, 5, 6, 7, 5, 6},
               options, TextStart::kFresh, nullptr);
    return finish(run);
  };
  GenerationOptions options{.max_tokens = 60};
  options.logprobs = true;
  const Answer plain = run(options);
  options.prompt_lookup = true;
  options.draft_fixed = true;
  options.draft_tokens = 16;
  const Answer got = run(options);
  EXPECT_GT(got.stats.draft->n_proposed, 20);
  EXPECT_EQ(got.ids, plain.ids);
  EXPECT_EQ(got.logprobs, plain.logprobs);
}

// SPEC-01, SPEC-02
TEST_F(Speculation, GreedyTextIsThatOfTheModelWhateverTheDraft) {
  const Scripted noise(
      [](int position) { return test::sure_of(3 + position * 7919 % 500); });
  const DraftModel itself = draft_of(loaded_), wrong = draft_of(noise.loaded);
  const Ids story = {1, 403, 407, 261, 378, 432, 383, 286, 261, 500};
  for (std::size_t n_prompt = 1; n_prompt <= story.size(); ++n_prompt) {
    const Ids prompt(story.begin(),
                     story.begin() + static_cast<std::ptrdiff_t>(n_prompt));
    GenerationOptions options{.max_tokens = 40};
    const Answer plain = run(prompt, options);
    EXPECT_FALSE(plain.stats.draft);
    options.draft_fixed = true;
    for (const int n : {1, 2, 5, 16}) {
      options.draft_tokens = n;
      for (const DraftModel* draft : {&itself, &wrong}) {
        const Answer got = run(prompt, options, draft);
        EXPECT_EQ(got.ids, plain.ids) << n_prompt << " " << n;
        EXPECT_EQ(got.text, plain.text);
        EXPECT_EQ(got.stats.n_generated_tokens, 40);
        const DraftStats& stats = *got.stats.draft;
        EXPECT_EQ(stats.warning, "");
        EXPECT_EQ(stats.n_steps + stats.n_accepted, 39);
        if (draft == &itself) {
          // After the first token, n + 1 a round and the rest in the last.
          EXPECT_EQ(stats.n_accepted, stats.n_proposed);
          EXPECT_EQ(stats.n_steps, (39 + n) / (n + 1));
        }
      }
      GenerationOptions lookup = options;
      lookup.prompt_lookup = true;
      EXPECT_EQ(run(prompt, lookup).ids, plain.ids) << n_prompt << " " << n;
    }
    options.draft_fixed = false;
    EXPECT_EQ(run(prompt, options, &wrong).ids, plain.ids);
    EXPECT_EQ(run(prompt, options, &itself).ids, plain.ids);
  }
}

// SPEC-01, SPEC-19: by equality a seed has the text it has without drafts.
TEST_F(Speculation, ByEqualityASampledTextIsTheSame) {
  const DraftModel itself = draft_of(loaded_);
  GenerationOptions options{.max_tokens = 60,
                            .temperature = 0.8,
                            .top_p = 0.95,
                            .repetition_penalty = 1.1,
                            .draft_fixed = true,
                            .draft_by_equality = true,
                            .seed = 11};
  const Answer plain = run({1}, options);
  options.draft_tokens = 4;
  const Answer drafted = run({1}, options, &itself);
  EXPECT_EQ(drafted.ids, plain.ids);
  EXPECT_TRUE(drafted.stats.draft->by_equality);
  EXPECT_GT(drafted.stats.draft->n_accepted, 30);
  options.prompt_lookup = true;
  EXPECT_EQ(run({1}, options).ids, plain.ids);
  options.prompt_lookup = options.draft_by_equality = false;
  const Answer by_probability = run({1}, options, &itself);
  EXPECT_FALSE(by_probability.stats.draft->by_equality);
  // The same distribution on both sides: everything stands.
  EXPECT_EQ(by_probability.stats.draft->acceptance(), 1);
  EXPECT_EQ(run({1}, options, &itself).ids, by_probability.ids);
}

// SPEC-06, SPEC-07, SPEC-20: what both caches hold after each round.
TEST_F(Speculation, CachesHoldWhatStoodAndServeTheNextTurn) {
  // Agrees with the model on some tokens: all counts of accepted ones occur.
  const Answer plain = run({1}, {.max_tokens = 80});
  const Scripted half([&](int position) {
    const auto i = static_cast<std::size_t>(position);
    return test::sure_of(i % 7 == 3 || i % 11 == 5 || i >= 80 ? 9
                                                              : plain.ids[i]);
  });
  const DraftModel draft = draft_of(half.loaded);
  const auto cache = std::make_shared<Cache>(loaded_->model->make_cache());
  const auto sequence = std::make_shared<Sequence>(
      loaded_, Session(*loaded_->model, cache, 512), Ids{1},
      GenerationOptions{
          .max_tokens = 80, .draft_tokens = 3, .draft_fixed = true},
      TextStart::kFresh, &draft);
  Generator generator(*loaded_->model);
  generator.add(sequence);
  Ids ids = {1};
  std::map<std::size_t, int> rounds;
  while (generator.step()) {
    std::size_t n_new = 0;
    while (const auto piece = sequence->pop()) {
      ids.push_back(piece->token);
      ++n_new;
    }
    ++rounds[n_new];
    EXPECT_EQ(sequence->session().tokens(), Ids(ids.begin(), ids.end() - 1));
  }
  EXPECT_EQ(Ids(ids.begin() + 1, ids.end()), plain.ids);
  EXPECT_EQ(rounds.size(), 4u) << "1 to 4 tokens a round";

  Session session = sequence->take_memory().session;
  ids.push_back(5);
  Session fresh(*loaded_->model);
  const auto want = test::numbers(fresh.prefill(ids));
  EXPECT_EQ(test::numbers(session.extend_to(ids)), want);
}

// SPEC-06, SPEC-07: the draft model is fed what it has not seen, and no more.
TEST(ScriptedSpeculation, TheDraftModelReadsEachTokenOnce) {
  const Ids says = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21};
  const Scripted target(says, 1);
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Ids drafts = says;
  drafts[6] = 99;
  const Scripted drafter(drafts, 1);
  const DraftModel draft = draft_of(drafter.loaded);
  Runner run(target, {1},
             {.max_tokens = 11, .draft_tokens = 3, .draft_fixed = true},
             &draft);
  EXPECT_EQ(finish(run).ids, Ids(says.begin(), says.begin() + 11));
  // 10 | 11 12 13 14 | 15 16 (99) -> 15 16 | 17 18 19 20, the last round with
  // a draft of the three that are left but one.
  EXPECT_EQ(target.model->segments,
            (std::vector<std::vector<int>>{{1}, {4}, {4}, {4}}));
  // Prompt and first token; then, as all stood, its last draft and what
  // followed; then, of 16 and 17 drafted, only what replaced 16.
  EXPECT_EQ(drafter.model->segments,
            (std::vector<std::vector<int>>{
                {2}, {1}, {1}, {2}, {1}, {1}, {1}, {1}, {1}}));
}

// SPEC-03, SPEC-04: top_k and a bias on both sides, a draft that is bad.
// Seeds are fixed; a right rule fails once in 10^6 runs with others.
TEST(Verify, SamplingKeepsTheModelsDistribution) {
  const std::vector<float> p_logits = {0.5f, 1.2f, -0.3f, 2.0f, 0.0f, 1.0f};
  const std::vector<float> q_logits = {2.0f, -1.0f, 1.5f, 0.2f, 1.0f, -0.5f};
  GenerationOptions options{
      .temperature = 0.9, .top_k = 5, .logit_bias = {{4, 1.0}}};
  TokenRoles roles;
  roles.vocab_size = 6;
  // Token 2 is outside of the top five.
  std::vector<double> want;
  for (std::size_t i = 0; i < 6; ++i) {
    const double logit = p_logits[i] + (i == 4 ? 1.0 : 0.0);
    want.push_back(i == 2 ? 0 : std::exp(logit / options.temperature));
  }
  for (const bool by_equality : {false, true}) {
    constexpr int kDraws = 200000;
    int n_stood = 0;
    Sampler target(options, roles, 8), drafter(options, roles, 8);
    std::vector<std::int32_t> tokens = {0};
    for (int i = 0; i < kDraws; ++i) {
      const History history{tokens, 1};
      Draft draft;
      if (by_equality) {
        draft.tokens = {drafter.choose(q_logits, history).token};
      } else {
        draft.distributions = {drafter.probabilities(q_logits, history)};
        draft.tokens = {draw_from(
            draft.distributions[0],
            drafter.uniform(Purpose::kDraft, static_cast<std::size_t>(i)))};
      }
      const Verdict verdict = verify(target, p_logits, history, draft, 0);
      EXPECT_EQ(verdict.stands, verdict.choice.token == draft.tokens[0]);
      n_stood += verdict.stands ? 1 : 0;
      tokens.push_back(verdict.choice.token);
    }
    EXPECT_GT(n_stood, kDraws / 10);
    EXPECT_LT(n_stood, kDraws * 9 / 10);
    EXPECT_TRUE(test::drawn_from(want, std::span(tokens).subspan(1)))
        << by_equality;
  }
}

// SPEC-03: the same through whole answers, where drafts have several tokens.
TEST(ScriptedSpeculation, AnswersKeepTheModelsDistribution) {
  const auto spread = [](const std::vector<float>& few) {
    std::vector<float> logits(512, -40.0f);
    std::ranges::copy(few, logits.begin() + 100);
    return logits;
  };
  const auto p_logits = spread({0.5f, 1.2f, -0.3f, 2.0f});
  const auto q_logits = spread({2.0f, -1.0f, 1.5f, 0.2f});
  const Scripted target([&](int) { return p_logits; });
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const Scripted bad([&](int) { return q_logits; });
  const DraftModel draft = draft_of(bad.loaded);
  constexpr int kTokens = 10000;
  Runner run(target, {1},
             {.max_tokens = kTokens,
              .temperature = 1,
              .draft_tokens = 3,
              .draft_fixed = true,
              .seed = 2},
             &draft);
  Ids ids;
  while (const auto piece = run.next()) ids.push_back(piece->token);
  EXPECT_GT(run->stats().draft->n_accepted, kTokens / 10);
  EXPECT_TRUE(test::drawn_from(test::weights_of(p_logits), ids));
}

// SPEC-05
TEST(ScriptedSpeculation, ProcessorsSeeTheHistoryOfPlainDecoding) {
  const Ids says = {10, 11, 12, 13, 14, 15, 16, 17};
  const Scripted target(says, 2);
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Ids half = says;
  half[3] = 77;
  const Scripted drafter(half, 2);
  const DraftModel draft = draft_of(drafter.loaded);
  const auto histories = [&](const DraftModel* draft_model) {
    std::vector<Ids> seen;
    GenerationOptions options{.max_tokens = 8,
                              .draft_tokens = draft_model ? 3 : 0,
                              .draft_fixed = true};
    options.processors.push_back(
        [&](std::span<const std::int32_t> history, std::span<float>) {
          seen.emplace_back(history.begin(), history.end());
        });
    Runner run(target, {5, 6}, options, draft_model);
    finish(run);
    return seen;
  };
  EXPECT_EQ(histories(&draft), histories(nullptr));
  EXPECT_EQ(histories(nullptr).size(), 8u);
}

// SPEC-10, SPEC-11, SPEC-12
TEST(ScriptedSpeculation, AnEndInsideARoundDropsWhatIsAfterIt) {
  const Ids says = {421, 422, 423, 2, 425, 426};
  const Scripted target(says, 1);
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const DraftModel draft = draft_of(target.loaded);
  const Tokenizer& tokenizer = *target.loaded->tokenizer;
  const auto run = [&](const GenerationOptions& options) {
    Runner run(target, {1}, options, &draft);
    return finish(run);
  };
  GenerationOptions options{
      .max_tokens = 20, .draft_tokens = 5, .draft_fixed = true};
  const Answer eos = run(options);
  EXPECT_EQ(eos.ids, (Ids{421, 422, 423, 2}));
  EXPECT_EQ(eos.reason, FinishReason::kStop);
  EXPECT_EQ(eos.stats.draft->n_accepted, 3);
  EXPECT_EQ(eos.stats.draft->n_proposed, 3) << "what is after the end";
  EXPECT_EQ(eos.stats.n_generated_tokens, 4);

  options.stop = {tokenizer.decode(Ids{423})};
  ASSERT_FALSE(options.stop[0].empty());
  const Answer stopped = run(options);
  EXPECT_EQ(stopped.ids, (Ids{421, 422, 423}));
  EXPECT_EQ(stopped.stats.stop, options.stop[0]);
  EXPECT_EQ(stopped.text, tokenizer.decode(Ids{421, 422}));
  EXPECT_EQ(stopped.stats.draft->n_accepted, 2);

  options.stop = {};
  options.max_tokens = 3;
  EXPECT_EQ(run(options).stats.draft->n_proposed, 1);
}

// SPEC-09
TEST_F(Speculation, ADraftOfOtherTokensIsRefused) {
  EXPECT_NO_THROW(check_draft(*loaded_, *loaded_));
  SKUA_ASSET_OR_SKIP(path, "tokenizers/phi-3-mini");
  auto other =
      std::make_shared<LoadedModel>(LoadedModel{{},
                                                Config(Json::object(), ""),
                                                {},
                                                nullptr,
                                                load_tokenizer(path),
                                                {},
                                                {},
                                                0,
                                                Config(Json::object(), "")});
  other->model = std::make_unique<test::ScriptedModel>(
      32064, [](int) { return std::vector<float>(32064); });
  SKUA_EXPECT_ERROR(check_draft(*loaded_, *other), InvalidInput,
                    "[draft] the tokenizer has " +
                        std::to_string(other->tokenizer->size()) +
                        " tokens, expected the model's 512");
}

// SPEC-17
TEST_F(Speculation, DraftsThatCannotBeAreRefused) {
  for (const int bad : {-1, 65}) {
    SKUA_EXPECT_ERROR(run({1}, {.draft_tokens = bad, .prompt_lookup = true}),
                      InvalidInput, "draft_tokens: got " + std::to_string(bad));
  }
  SKUA_EXPECT_ERROR(run({1}, {.draft_tokens = 4}), InvalidInput,
                    "draft_tokens: got 4, expected a draft model, mtp "
                    "or prompt_lookup with it");
}

// SPEC-18
TEST_F(Speculation, ADraftModelThatFailsLeavesPlainDecoding) {
  int n_calls = 0;
  const Scripted failing([&n_calls](int) {
    if (++n_calls > 6) throw Error("draft", "broke");
    return test::sure_of(4);
  });
  const DraftModel draft = draft_of(failing.loaded);
  const Answer got = run(
      {1}, {.max_tokens = 30, .draft_tokens = 3, .draft_fixed = true}, &draft);
  EXPECT_EQ(got.ids, run({1}, {.max_tokens = 30}).ids);
  EXPECT_EQ(got.stats.draft->warning, "[draft] broke");
  EXPECT_EQ(got.stats.draft->n_rounds, 2);
}

// SPEC-09: a vocabulary that padding alone makes smaller.
TEST_F(Speculation, ADraftOfASmallerVocabularyServes) {
  auto padded = std::make_shared<LoadedModel>(
      LoadedModel{{},
                  Config(Json::object(), ""),
                  {},
                  std::make_unique<test::ScriptedModel>(
                      520, [](int) { return test::sure_of(421, 520); }),
                  loaded_->tokenizer,
                  {},
                  {2},
                  0,
                  Config(Json::object(), "")});
  const DraftModel draft = draft_of(loaded_);
  EXPECT_NO_THROW(check_draft(*padded, *loaded_));
  Runner run(padded, Session(*padded->model), {1},
             {.max_tokens = 9, .logit_bias = {{515, -1.0}}, .draft_tokens = 2},
             TextStart::kFresh, &draft);
  EXPECT_EQ(finish(run).ids, Ids(9, 421));
}

// GEN-57, SPEC-10: a long prompt is read by the draft model in chunks.
TEST(ScriptedSpeculation, TheDraftModelReadsALongPromptPieceByPiece) {
  const test::Scripted target([](int) { return test::sure_of(421); });
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const test::Scripted drafter([](int) { return test::sure_of(421); });
  const DraftModel draft = draft_of(drafter.loaded);
  Runner run(target, Ids(700, 5),
             {.max_tokens = 30, .draft_tokens = 3, .draft_fixed = true},
             &draft);
  const Answer answer = finish(run);
  EXPECT_EQ(answer.ids, Ids(30, 421));
  EXPECT_GT(answer.stats.draft->n_accepted, 10);
  for (const auto& step : drafter.model->segments)
    EXPECT_LE(step[0], Session::kChunk);
}

// SPEC-20: of the next turn the draft model reads what is new.
TEST(ScriptedSpeculation, TheDraftModelGoesOnFromTheTurnBefore) {
  const test::Scripted target([](int) { return test::sure_of(421); });
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const test::Scripted drafter([](int) { return test::sure_of(421); });
  const DraftModel draft = draft_of(drafter.loaded);
  const GenerationOptions options = {
      .max_tokens = 30, .draft_tokens = 3, .draft_fixed = true};
  Ids prompt(200, 5);
  Runner first(target, prompt, options, &draft);
  const Ids answer = finish(first).ids;
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  prompt.insert(prompt.end(), 10, 6);
  drafter.model->segments.clear();
  Runner second(target.loaded, first->take_memory(), prompt, options,
                TextStart::kFresh, &draft);
  EXPECT_GT(finish(second).stats.draft->n_accepted, 10);
  int n_read = 0;
  for (const auto& step : drafter.model->segments) n_read += step[0];
  EXPECT_LT(n_read, 80);
  EXPECT_GE(n_read, 30);
}

// SPEC-14
TEST(PromptLookupTest, GoesOnAsTheLongestMatchDid) {
  PromptLookup lookup;
  const auto propose = [&](const Ids& tokens, int n) {
    return lookup.propose({tokens, 0}, n).tokens;
  };
  Ids tokens = {1, 2, 3, 4, 9, 2, 3, 5};
  EXPECT_EQ(propose(tokens, 4), Ids{});
  tokens.insert(tokens.end(), {1, 2, 3});
  // "1 2 3" came once; the newer "2 3" has less in common.
  EXPECT_EQ(propose(tokens, 3), (Ids{4, 9, 2}));
  tokens.insert(tokens.end(), {7, 7, 7});
  EXPECT_EQ(propose(tokens, 4), (Ids{7, 7, 7, 7}));
  EXPECT_EQ(propose(tokens, 0), Ids{});
  PromptLookup fresh;
  EXPECT_EQ(fresh.propose({Ids{}, 0}, 3).tokens, Ids{});
  EXPECT_EQ(fresh.propose({Ids{1}, 0}, 3).tokens, Ids{});
}

// SPEC-14
TEST(ScriptedSpeculation, ACopyTakesFewSteps) {
  Ids text;
  for (int i = 0; i < 60; ++i) text.push_back(100 + i * 37 % 300);
  const Scripted target(text, 61);
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Ids prompt = {1};
  prompt.insert(prompt.end(), text.begin(), text.end());
  Runner run(target, prompt,
             {.max_tokens = 60,
              .draft_tokens = 8,
              .prompt_lookup = true,
              .draft_fixed = true});
  const Answer answer = finish(run);
  EXPECT_EQ(answer.ids, text);
  EXPECT_LT(answer.stats.draft->n_steps, 30);
}

// SPEC-13: while nothing will be drafted, steps begin ahead.
TEST(ScriptedSpeculation, StepsBeginAheadWhereNoDraftsAreWanted) {
  const Scripted target([](int) { return test::sure_of(421); });
  if (!target.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto model_steps = [&](const GenerationOptions& options,
                               const DraftModel* draft) {
    target.model->segments.clear();
    Runner run(target, {1}, options, draft);
    int n_ahead = 0;
    for (int n = 1; run.next(); ++n)
      n_ahead += static_cast<int>(target.model->segments.size()) > n ? 1 : 0;
    return n_ahead;
  };
  EXPECT_EQ(model_steps({.max_tokens = 200}, nullptr), 199);
  const Scripted wrong([](int) { return test::sure_of(9); });
  const DraftModel draft = draft_of(wrong.loaded);
  GenerationOptions options{.max_tokens = 200, .draft_tokens = 1};
  EXPECT_GT(model_steps(options, &draft), 100);
  options.draft_fixed = true;
  EXPECT_EQ(model_steps(options, &draft), 0);
}

// SPEC-16
TEST_F(Speculation, RowsOfABatchAcceptEachItsOwn) {
  const DraftModel draft = draft_of(loaded_);
  const auto cache = std::make_shared<Cache>(loaded_->model->make_cache());
  Generator generator(*loaded_->model);
  const std::vector<Ids> prompts = {{1}, {1, 403, 407}, {1, 300}, {1, 20, 21}};
  std::vector<std::shared_ptr<Sequence>> rows;
  std::vector<GenerationOptions> options(4, {.max_tokens = 40, .seed = 3});
  options[0].draft_tokens = 4;
  options[1].draft_tokens = 7;
  options[1].draft_fixed = true;
  options[1].temperature = 0.9;
  options[1].draft_by_equality = true;
  options[2].draft_tokens = 6;
  options[2].prompt_lookup = true;
  for (std::size_t i = 0; i < 4; ++i) {
    rows.push_back(std::make_shared<Sequence>(
        loaded_, Session(*loaded_->model, cache, 512), prompts[i], options[i],
        TextStart::kFresh, &draft));
    generator.add(rows.back());
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < 4; ++i) {
    Ids ids;
    while (const auto piece = rows[i]->pop())
      if (piece->token >= 0) ids.push_back(piece->token);
    GenerationOptions plain = options[i];
    plain.draft_tokens = 0;
    EXPECT_EQ(ids, run(prompts[i], plain).ids) << i;
  }
}

}  // namespace
}  // namespace skua
