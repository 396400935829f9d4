#include "generate/generator.h"

#include <gtest/gtest.h>

#include <array>

#include "base/json.h"
#include "skua/error.h"
#include "tests/unit/generate/runner.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::Answer;
using test::finish;
using test::Ids;
using test::Runner;

class GeneratorTest : public testing::Test {
 protected:
  struct Row {
    Ids prompt;
    GenerationOptions options;
  };

  void SetUp() override {
    const auto folder = test::stories_folder();
    if (!folder) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    loaded_ = load_model(folder->path());
    cache_ = std::make_shared<Cache>(loaded_->model->make_cache());
    rows_.resize(8);
    const Ids story = {1, 403, 407, 261, 378, 432, 383, 286, 261};
    const int lengths[] = {1, 3, 300, 2, 9, 40, 1, 25};
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      for (int t = 0; t < lengths[i]; ++t)
        rows_[i].prompt.push_back(story[static_cast<std::size_t>(t) % 9]);
      GenerationOptions& o = rows_[i].options;
      o.max_tokens = 20 + static_cast<int>(i);
      o.seed = 5;
      o.prefill_chunk = i == 2 ? 70 : 2048;
      if (i % 2 == 1) o.temperature = 0.5 + 0.1 * static_cast<double>(i);
      if (i == 3) o.top_k = 5;
      if (i == 4) o.stop = {"."};
      if (i == 5) o.repetition_penalty = 1.3;
      if (i == 7) o.logprobs = true;
    }
  }

  std::shared_ptr<Sequence> start(const Row& row) const {
    return std::make_shared<Sequence>(loaded_,
                                      Session(*loaded_->model, cache_, 512),
                                      row.prompt, row.options);
  }
  Answer alone(const Row& row) const {
    Runner run(loaded_, Session(*loaded_->model, 512), row.prompt, row.options);
    return finish(run);
  }
  static Answer drain(Sequence& sequence) {
    Answer answer;
    while (const auto piece = sequence.pop()) {
      answer.text += piece->text;
      if (piece->token >= 0) answer.ids.push_back(piece->token);
      answer.logprobs.push_back(piece->logprob);
    }
    answer.reason = sequence.finish_reason();
    answer.stats = sequence.stats();
    return answer;
  }
  static void expect_same(const Answer& got, const Answer& want,
                          std::size_t row) {
    EXPECT_EQ(got.ids, want.ids) << row;
    EXPECT_EQ(got.text, want.text) << row;
    EXPECT_EQ(got.logprobs, want.logprobs) << row;
    EXPECT_EQ(got.reason, want.reason) << row;
    EXPECT_EQ(got.stats.stop, want.stats.stop) << row;
    EXPECT_EQ(got.stats.n_generated_tokens, want.stats.n_generated_tokens);
  }

  std::shared_ptr<const LoadedModel> loaded_;
  std::shared_ptr<Cache> cache_;
  std::vector<Row> rows_;
};

// GEN-31, GEN-63, GEN-64, GEN-68: log-probabilities to the last bit.
TEST_F(GeneratorTest, EachRowEqualsItselfAlone) {
  Generator generator(*loaded_->model);
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (const Row& row : rows_) {
    sequences.push_back(start(row));
    generator.add(sequences.back());
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < rows_.size(); ++i)
    expect_same(drain(*sequences[i]), alone(rows_[i]), i);
  EXPECT_EQ(drain(*sequences[4]).stats.stop, ".");
}

// GEN-65
TEST_F(GeneratorTest, WhoJoinsLateOrLeavesEarlyChangesNothingForOthers) {
  Generator generator(*loaded_->model);
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    sequences.push_back(start(rows_[i]));
    generator.add(sequences.back());
    for (std::size_t step = 0; step < i % 4 + 1; ++step) generator.step();
    if (i == 4) sequences[1]->cancel();
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (i == 1) continue;
    expect_same(drain(*sequences[i]), alone(rows_[i]), i);
  }
  EXPECT_EQ(drain(*sequences[1]).reason, FinishReason::kCancelled);
}

// GEN-80, GEN-63: where a penalty makes the choice another than the model's
// likeliest, the row that began with that is taken back.
TEST_F(GeneratorTest, WhatBeganAheadChangesNothing) {
  GenerationOptions penalized{.max_tokens = 60, .logprobs = true};
  penalized.repetition_penalty = 1.8;
  const GenerationOptions plain{.max_tokens = 60, .logprobs = true};
  const std::vector<Row> rows = {{{1}, penalized}, {{1, 403}, plain}};
  const auto run = [&](bool run_ahead) {
    Generator generator(*loaded_->model, {.run_ahead = run_ahead});
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (const Row& row : rows) {
      sequences.push_back(start(row));
      generator.add(sequences.back());
    }
    while (generator.step()) {
    }
    return std::array{drain(*sequences[0]), drain(*sequences[1])};
  };
  const auto ahead = run(true), in_turn = run(false);
  for (std::size_t i = 0; i < rows.size(); ++i)
    expect_same(ahead[i], in_turn[i], i);
  // The penalty did act.
  GenerationOptions unpenalized = penalized;
  unpenalized.repetition_penalty = 1;
  EXPECT_NE(in_turn[0].ids, alone({{1}, unpenalized}).ids);
}

// GEN-80, GEN-63: drawn tokens, whose next step began with them.
TEST_F(GeneratorTest, DrawsThatWereForeseenChangeNothing) {
  std::vector<Row> rows = {{{1}, {.temperature = 0.9}},
                           {{1, 403}, {.temperature = 1.2, .top_k = 8}},
                           {{1}, {.temperature = 0.7, .top_p = 0.9}},
                           {{1}, {}},
                           {{1, 407}, {.temperature = 1, .min_p = 0.02}}};
  rows[2].options.typical_p = 0.9;
  rows[2].options.xtc_probability = 0.5;
  rows[2].options.dynatemp_range = 0.3;
  std::vector<std::shared_ptr<Sequence>> sequences;
  Generator generator(*loaded_->model);
  for (Row& row : rows) {
    row.options.max_tokens = 40;
    row.options.seed = 11;
    row.options.ignore_eos = true;
    row.options.logprobs = true;
    sequences.push_back(start(row));
    generator.add(sequences.back());
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < rows.size(); ++i)
    expect_same(drain(*sequences[i]), alone(rows[i]), i);
}

// GEN-66
TEST_F(GeneratorTest, WhatHasEndedIsNotFedAndItsMemoryIsFree) {
  Generator generator(*loaded_->model);
  auto brief = start({Ids(300, 403), {.max_tokens = 2}});
  auto longer = start({{1}, {.max_tokens = 30}});
  generator.add(brief);
  generator.add(longer);
  while (!brief->ended()) generator.step();
  const std::size_t held = cache_->n_bytes();
  const auto n_read = brief->session().tokens().size();
  brief.reset();
  generator.step();
  EXPECT_LT(cache_->n_bytes(), held);
  const auto again = start({Ids(300, 403), {.max_tokens = 2}});
  generator.add(again);
  while (generator.step()) {
  }
  EXPECT_EQ(again->session().tokens().size(), n_read);
  EXPECT_EQ(longer->stats().n_generated_tokens, 30);
}

TEST_F(GeneratorTest, ASequenceOfAnotherCacheIsRefused) {
  Generator generator(*loaded_->model);
  generator.add(start(rows_[0]));
  SKUA_EXPECT_ERROR(
      generator.add(std::make_shared<Sequence>(
          loaded_, Session(*loaded_->model), Ids{1}, GenerationOptions{})),
      InvalidInput, "another cache");
}

// Prompts take turns within a step's rows, and never hold up an answer.
TEST(ScriptedGenerator, APromptIsReadBesideAnswers) {
  const test::Scripted scripted([](int) { return test::sure_of(421); });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto cache =
      std::make_shared<Cache>(scripted.loaded->model->make_cache());
  Generator generator(*scripted.loaded->model,
                      {.max_prompt_rows = 10, .run_ahead = false});
  const auto add = [&](int n_prompt, int max_tokens) {
    const auto sequence = std::make_shared<Sequence>(
        scripted.loaded, Session(*scripted.loaded->model, cache, 0),
        Ids(static_cast<std::size_t>(n_prompt), 5),
        GenerationOptions{.max_tokens = max_tokens});
    generator.add(sequence);
    return sequence;
  };
  const auto a = add(1, 6);
  generator.step();
  const auto b = add(14, 3);
  const auto c = add(12, 2);
  while (generator.step()) {
  }
  EXPECT_EQ(scripted.model->segments,
            (std::vector<std::vector<int>>{
                {1}, {1, 10}, {1, 4, 6}, {1, 1, 6}, {1, 1, 1}, {1}}));
}

// GEN-80
TEST(ScriptedGenerator, AStepBeginsBeforeTheTokenBeforeItIsRead) {
  const test::Scripted scripted({10, 11, 12, 13, 2}, 1);
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  std::vector<int> n_begun;
  GenerationOptions options{.max_tokens = 4};
  options.processors.push_back(
      [&](std::span<const std::int32_t>, std::span<float>) {
        n_begun.push_back(scripted.model->n_steps);
      });
  const auto cache =
      std::make_shared<Cache>(scripted.loaded->model->make_cache());
  const auto run = [&](const GenerationOptions& o, bool run_ahead) {
    const auto sequence = std::make_shared<Sequence>(
        scripted.loaded, Session(*scripted.loaded->model, cache, 0), Ids{1}, o);
    Generator generator(*scripted.loaded->model, {.run_ahead = run_ahead});
    generator.add(sequence);
    scripted.model->n_steps = 0;
    n_begun.clear();
    while (generator.step()) {
    }
    EXPECT_EQ(sequence->session().tokens().size(),
              static_cast<std::size_t>(sequence->stats().n_generated_tokens));
    EXPECT_EQ(cache->length(sequence->session().sequence()),
              sequence->stats().n_generated_tokens);
    Ids ids;
    while (const auto piece = sequence->pop()) ids.push_back(piece->token);
    return ids;
  };
  EXPECT_EQ(run(options, true), (Ids{10, 11, 12, 13}));
  EXPECT_EQ(n_begun, (std::vector<int>{2, 3, 4, 4}));
  EXPECT_EQ(run(options, false), (Ids{10, 11, 12, 13}));
  EXPECT_EQ(n_begun, (std::vector<int>{1, 2, 3, 4}));
  // Past an end that could not be foreseen, and where the choice is another.
  options.max_tokens = 9;
  EXPECT_EQ(run(options, true), (Ids{10, 11, 12, 13, 2}));
  options.suppress_ids = {12};
  EXPECT_EQ(run(options, true), (Ids{10, 11, 0, 13, 2}));
  options = {.max_tokens = 4, .force_ids = {7, 8}};
  EXPECT_EQ(run(options, true), (Ids{7, 8, 12, 13}));
}

// GEN-80: a step begins with the token that is drawn; with another, more than
// one step would be taken for each.
TEST(ScriptedGenerator, DrawsAreForeseenWhereTheyNeedNoHistory) {
  const test::Scripted scripted([](int position) {
    std::vector<float> logits(512);
    for (std::size_t i = 3; i < logits.size(); ++i)
      logits[i] = static_cast<float>(
                      (i * 37 + static_cast<std::size_t>(position)) % 101) /
                  20;
    return logits;
  });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  struct Run {
    Ids ids;
    int n_first_steps = 0;  // begun when the first token is read
    int n_steps = 0;
  };
  const auto run = [&](GenerationOptions options, bool run_ahead) {
    options.max_tokens = 30;
    options.seed = 3;
    options.ignore_eos = true;
    const auto sequence = std::make_shared<Sequence>(
        scripted.loaded, Session(*scripted.loaded->model), Ids{1}, options);
    Generator generator(*scripted.loaded->model, {.run_ahead = run_ahead});
    generator.add(sequence);
    scripted.model->n_steps = 0;
    Run result;
    generator.step();
    result.n_first_steps = scripted.model->n_steps;
    while (generator.step()) {
    }
    result.n_steps = scripted.model->n_steps;
    while (const auto piece = sequence->pop())
      result.ids.push_back(piece->token);
    return result;
  };
  GenerationOptions xtc{.temperature = 1};
  xtc.xtc_probability = 0.5;
  for (const GenerationOptions& options :
       {GenerationOptions{.temperature = 1},
        GenerationOptions{.temperature = 2, .top_p = 0.9, .min_p = 0.01},
        GenerationOptions{.temperature = 1, .top_k = 40}, xtc,
        GenerationOptions{.temperature = 1, .suppress_ids = {36, 63, 90}},
        GenerationOptions{.temperature = 1, .logit_bias = {{36, 9.0}}},
        GenerationOptions{.temperature = 1, .force_ids = {7, 8}},
        GenerationOptions{.min_tokens = 30, .temperature = 1, .stop_ids = {33}},
        GenerationOptions{.logit_bias = {{36, 9.0}}},
        GenerationOptions{.force_ids = {7, 8}}}) {
    const Run ahead = run(options, true), in_turn = run(options, false);
    EXPECT_EQ(ahead.ids, in_turn.ids);
    EXPECT_EQ(ahead.n_first_steps, 2);
    EXPECT_EQ(ahead.n_steps, 30);
    EXPECT_EQ(in_turn.n_first_steps, 1);
  }
  for (const GenerationOptions& options :
       {GenerationOptions{.temperature = 1, .mirostat = 2},
        GenerationOptions{.temperature = 1, .repetition_penalty = 1.2},
        GenerationOptions{.temperature = 1, .no_repeat_ngram = 2}}) {
    EXPECT_EQ(run(options, true).n_first_steps, 1);
  }
}

// GEN-59, GEN-81: one row's failure is that row's alone.
TEST(ScriptedGenerator, ARowThatFailsFailsAlone) {
  const test::Scripted scripted([](int position) {
    auto logits = test::sure_of(421);
    if (position == 7) logits[3] = NAN;
    return logits;
  });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto cache =
      std::make_shared<Cache>(scripted.loaded->model->make_cache());
  Generator generator(*scripted.loaded->model);
  std::vector<std::shared_ptr<Sequence>> rows;
  for (const std::size_t n_prompt : {1u, 6u, 9u}) {
    GenerationOptions options{.max_tokens = 5, .seed = 1};
    if (n_prompt == 6) options.temperature = 0.5;
    rows.push_back(std::make_shared<Sequence>(
        scripted.loaded, Session(*scripted.loaded->model, cache, 0),
        Ids(n_prompt, 5), options));
    generator.add(rows.back());
  }
  while (generator.step()) {
  }
  EXPECT_EQ(rows[0]->stats().n_generated_tokens, 5);
  EXPECT_EQ(rows[2]->stats().n_generated_tokens, 5);
  EXPECT_EQ(rows[1]->stats().n_generated_tokens, 2);
  EXPECT_TRUE(rows[1]->pop() && rows[1]->pop());
  EXPECT_THROW(rows[1]->pop(), Error);
  EXPECT_EQ(rows[1]->finish_reason(), FinishReason::kError);
  EXPECT_EQ(rows[1]->pop(), std::nullopt);
}

}  // namespace
}  // namespace skua
