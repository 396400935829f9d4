#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "skua/skua.h"
#include "tests/unit/generate/stories.h"

namespace skua {
namespace {

/** What a user gets of an answer, however it was computed. */
struct Answer {
  std::string text = {};
  std::vector<std::int32_t> ids = {};
  std::vector<double> logprobs = {};
  std::vector<TokenLogprob> top_logprobs = {};
  FinishReason reason = FinishReason::kNone;
  GenerationStats stats = {};

  void add(const Piece& piece) {
    text += piece.text;
    if (piece.token >= 0) ids.push_back(piece.token);
    if (piece.logprob) logprobs.push_back(*piece.logprob);
    top_logprobs.insert(top_logprobs.end(), piece.top_logprobs.begin(),
                        piece.top_logprobs.end());
  }
};

constexpr double kTolerance = 2e-4;  // a step of many rows rounds otherwise

void expect_near(const std::vector<double>& got,
                 const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], kTolerance) << i;
}

void expect_equal(const Answer& got, const Answer& want) {
  EXPECT_EQ(got.text, want.text);
  EXPECT_EQ(got.ids, want.ids);
  EXPECT_EQ(got.reason, want.reason);
  EXPECT_EQ(got.stats.stop, want.stats.stop);
  EXPECT_EQ(got.stats.stop_id, want.stats.stop_id);
  EXPECT_EQ(got.stats.n_generated_tokens, want.stats.n_generated_tokens);
  expect_near(got.logprobs, want.logprobs);
  expect_near(got.stats.prompt_logprobs, want.stats.prompt_logprobs);
  ASSERT_EQ(got.top_logprobs.size(), want.top_logprobs.size());
  for (std::size_t i = 0; i < want.top_logprobs.size(); ++i) {
    EXPECT_EQ(got.top_logprobs[i].token, want.top_logprobs[i].token) << i;
    EXPECT_NEAR(got.top_logprobs[i].logprob, want.top_logprobs[i].logprob,
                kTolerance);
  }
}

struct Case {
  const char* name;
  GenerationOptions options;
};

GenerationOptions warm(GenerationOptions options) {
  options.temperature = 0.8;
  options.seed = 11;
  return options;
}

/** One of each kind of option. Of answers drawn at random the text is the same
 *  where drafts are accepted by equality.
 *  id  a token of the greedy answer */
std::vector<Case> all_kinds(std::int32_t id) {
  return {
      {"greedy", {}},
      {"length", {.max_tokens = 1}},
      {"no tokens", {.max_tokens = 0}},
      {"min tokens", {.min_tokens = 30}},
      {"short chunks", {.prefill_chunk = 3}},
      {"temperature", warm({})},
      {"top-p", warm({.top_p = 0.8})},
      {"min-p", warm({.min_p = 0.1, .min_tokens_to_keep = 2})},
      {"top-k", warm({.top_k = 5})},
      {"xtc", warm({.xtc_probability = 0.5, .xtc_threshold = 0.1})},
      {"typical-p", warm({.typical_p = 0.7})},
      {"top-n-sigma", warm({.top_n_sigma = 0.5})},
      {"dynamic temperature", warm({.dynatemp_range = 0.5})},
      {"mirostat", warm({.mirostat = 2, .mirostat_tau = 2})},
      {"suppress", {.suppress_ids = {id}}},
      {"force", {.force_ids = {410, 286}}},
      {"bias", {.logit_bias = {{261, 6}, {432, -5}}}},
      {"repetition", {.repetition_penalty = 1.5, .repetition_window = 0}},
      {"presence", {.presence_penalty = 2, .penalize_prompt = false}},
      {"frequency", {.frequency_penalty = 1.5}},
      {"no repeated n-gram", {.no_repeat_ngram = 2}},
      {"dry", {.dry_multiplier = 2, .dry_allowed_length = 1}},
      {"stop text", {.stop = {"little", ". "}}},
      {"stop text kept", {.stop = {"upon", " a b"}, .include_stop = true}},
      {"stop ids", {.stop_ids = {id}}},
      {"end ignored", {.ignore_eos = true}},
      {"log-probabilities", warm({.logprobs = true, .top_logprobs = 3})},
      {"prompt log-probabilities", {.prompt_logprobs = true}},
      {"regex", warm({.regex = "[A-Z][a-z]+ (was|is) [a-z ]{5,20}[.]"})},
      {"choice", {.choice = {"a cat", "a dog", "a cart"}}},
      {"grammar", warm({.grammar = "root ::= (\"yes\" | \"no\") \", \" "
                                   "[a-z]+ \".\""})},
      {"schema", warm({.json_schema = R"({"type": "object", "properties": )"
                                      R"({"n": {"type": "integer"}}, )"
                                      R"("required": ["n"]})"})},
      {"callback", {.processors = {[](auto history, std::span<float> logits) {
                      logits[history.size() % 100 + 300] += 9;
                    }}}},
  };
}

class OptionsEverywhere : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::stories_folder();
    if (!folder_) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    // It drafts for itself: most guesses stand, those of the lookup do not.
    const std::string path = folder_->path().string();
    model_ = Model::load(path, {.precision = Precision::kExact, .draft = path});
  }

  Answer streamed(const std::string& prompt, const GenerationOptions& o) const {
    Answer answer;
    Stream stream = model_->complete(prompt, o);
    while (const auto piece = stream.next()) answer.add(*piece);
    answer.reason = stream.finish_reason();
    answer.stats = stream.stats();
    return answer;
  }

  // Row 1 of a batch, between others of their own options.
  Answer batched(const std::string& prompt, const GenerationOptions& o) const {
    Answer answer;
    BatchStream batch = model_->batch();
    batch.add("Lily and", {.max_tokens = 50, .temperature = 1.1, .seed = 3});
    batch.add(prompt, o);
    batch.add("One day, a boy named", {.max_tokens = 9, .stop = {"the"}});
    while (const auto event = batch.next())
      if (event->row == 1 && event->piece) answer.add(*event->piece);
    answer.reason = batch.finish_reason(1);
    answer.stats = batch.stats(1);
    return answer;
  }

  std::unique_ptr<test::TempDir> folder_;
  std::optional<Model> model_;
};

/** The ways to have guesses, by name. */
std::vector<std::pair<const char*, GenerationOptions>> with_drafts(
    GenerationOptions options) {
  options.draft_by_equality = true;
  options.draft_tokens = 4;
  GenerationOptions fixed = options, lookup = options;
  fixed.draft_fixed = lookup.draft_fixed = lookup.prompt_lookup = true;
  return {{"drafts of their own length", options},
          {"drafts of four", fixed},
          {"lookup", lookup}};
}

// GEN-09, GEN-64, GEN-68, SPEC-05, SPEC-11, SPEC-16, SPEC-19
TEST_F(OptionsEverywhere, GiveTheAnswerOfThePlainStream) {
  const std::string prompt =
      "Once upon a time, there was a little girl named Lily. Once upon a time";
  int n_proposed = 0, n_accepted = 0, n_changed = 0, n_stopped = 0,
      n_compared = 0;
  const Answer greedy = streamed(prompt, {.max_tokens = 40});
  for (const auto& [name, kind] : all_kinds(greedy.ids.at(12))) {
    GenerationOptions options = kind;
    if (options.max_tokens > 40) options.max_tokens = 40;
    const Answer plain = streamed(prompt, options);
    EXPECT_NE(plain.reason, FinishReason::kError) << name;
    n_changed += plain.text != greedy.text ? 1 : 0;
    n_stopped += plain.stats.stop || plain.stats.stop_id ? 1 : 0;
    const auto compare = [&](const char* way, const Answer& got) {
      SCOPED_TRACE(std::string(name) + ", " + way);
      expect_equal(got, plain);
      ++n_compared;
    };
    compare("batch", batched(prompt, options));
    for (const auto& [way, drafted] : with_drafts(options)) {
      const Answer alone = streamed(prompt, drafted);
      compare(way, alone);
      compare((std::string(way) + ", batch").c_str(), batched(prompt, drafted));
      if (!alone.stats.draft) continue;
      EXPECT_EQ(alone.stats.draft->warning, "") << name << ", " << way;
      n_proposed += alone.stats.draft->n_proposed;
      n_accepted += alone.stats.draft->n_accepted;
    }
  }
  std::printf("%d answers compared, %d of %d drafted tokens accepted\n",
              n_compared, n_accepted, n_proposed);
  EXPECT_GT(n_accepted, 500);
  EXPECT_GT(n_proposed, n_accepted + 100);
  EXPECT_GE(n_stopped, 3);
  EXPECT_GE(n_changed, 25) << "options that change nothing show nothing";
}

}  // namespace
}  // namespace skua
