#include "generate/score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <limits>

#include "models/load.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using Ids = std::vector<std::int32_t>;

// Counts the rows that each step sends through the head.
class CountingModel final : public CausalLM {
 public:
  explicit CountingModel(const CausalLM& inner) : inner_(inner) {}
  int n_layers() const override { return inner_.n_layers(); }
  int vocab_size() const override { return inner_.vocab_size(); }

  mutable std::vector<std::size_t> head_rows;
  mutable std::size_t n_rows = 0;
  float bad_logit = 0;  // added to all

 private:
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& cache) const override {
    head_rows.push_back(batch.output_rows.size());
    n_rows += static_cast<std::size_t>(batch.n_rows());
    return mx::add(inner_.forward(ids, batch, cache), mx::array(bad_logit));
  }

  const CausalLM& inner_;
};

class ScoreTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = test::asset("lm/stories260K/hf");
    if (folder.empty()) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    loaded_ = load_model(folder, {.precision = Precision::kExact});
    model_ = loaded_->model.get();
  }

  Ids some(int n) const {
    Ids ids = {1};
    for (int i = 1; i < n; ++i) ids.push_back((i * 37 + 11) % 512);
    return ids;
  }

  // log p(ids[i] | ids before), by a step for the prefix and float64 sums.
  double one_by_one(const Ids& ids, std::size_t i) const {
    Cache cache = model_->make_cache();
    const auto n = static_cast<int>(i);
    Batch batch;
    batch.add(cache.add_sequence(), 0, n);
    batch.want_last();
    const auto logits = test::numbers(
        model_->forward(mx::array(ids.begin(), {n}, mx::int32), batch, cache));
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit});
    return logits.at(static_cast<std::size_t>(ids[i])) - std::log(sum);
  }

  std::shared_ptr<const LoadedModel> loaded_;
  const CausalLM* model_ = nullptr;
};

// GEN-61
TEST_F(ScoreTest, EachTokenIsTheLogSoftmaxAfterItsPrefix) {
  const Ids ids = some(150);
  for (const int first : {1, 2, 70, 149}) {
    const auto scores = token_log_probabilities(*model_, ids, first);
    ASSERT_EQ(scores.size(), ids.size() - static_cast<std::size_t>(first));
    for (std::size_t i = 0; i < scores.size(); i += 13) {
      EXPECT_NEAR(scores[i],
                  one_by_one(ids, static_cast<std::size_t>(first) + i), 2e-5)
          << first << " " << i;
    }
  }
  EXPECT_TRUE(token_log_probabilities(*model_, ids, 150).empty());
}

// GEN-42
TEST_F(ScoreTest, OnlyScoredRowsGoThroughTheHeadFewAtATime) {
  const CountingModel counting(*model_);
  const Ids ids = some(400);
  token_log_probabilities(counting, ids, 200);
  std::size_t total = 0;
  for (const std::size_t n : counting.head_rows) {
    EXPECT_LE(n, static_cast<std::size_t>(kScoredRows));
    total += n;
  }
  EXPECT_EQ(total, 200u);
  EXPECT_EQ(counting.n_rows, 399u);
}

TEST_F(ScoreTest, WindowsScoreEachTokenOnceWithItsContext) {
  const Ids ids = some(200);
  const auto all = token_log_probabilities(*model_, ids, 1);
  double whole = 0;
  for (const double s : all) whole -= s;
  const Perplexity one = perplexity(*model_, ids);
  EXPECT_EQ(one.n_scored, 199u);
  EXPECT_EQ(one.n_windows, 1u);
  EXPECT_NEAR(one.nll, whole / 199, 1e-12);
  EXPECT_DOUBLE_EQ(one.perplexity, std::exp(one.nll));

  // Windows [0, 80), [50, 130), [100, 180), [150, 200).
  double sum = 0;
  const auto add = [&](int begin, int end, int first) {
    const std::span window(ids.begin() + begin, ids.begin() + end);
    for (const double s :
         token_log_probabilities(*model_, window, first - begin))
      sum -= s;
  };
  add(0, 80, 1);
  add(50, 130, 80);
  add(100, 180, 130);
  add(150, 200, 180);
  const Perplexity strided = perplexity(*model_, ids, {80, 50, {}, {}});
  EXPECT_EQ(strided.n_scored, 199u);
  EXPECT_EQ(strided.n_windows, 4u);
  EXPECT_NEAR(strided.nll, sum / 199, 1e-12);

  // Windows side by side: each loses its first token.
  sum = 0;
  add(0, 80, 1);
  add(80, 160, 81);
  add(160, 200, 161);
  const Perplexity apart = perplexity(*model_, ids, {80, 80, {}, {}});
  EXPECT_EQ(apart.n_scored, 197u);
  EXPECT_NEAR(apart.nll, sum / 197, 1e-12);
  EXPECT_EQ(perplexity(*model_, some(161), {80, 0, {}, {}}).n_scored, 158u);
}

TEST_F(ScoreTest, ContinuationsOfOneContextEqualEachAlone) {
  const Ids context = some(40), long_text = some(100);
  const std::vector<Ids> continuations = {
      {5, 6, 7}, {9}, {long_text.begin() + 40, long_text.end()}};
  const CountingModel counting(*model_);
  const auto scores = score_continuations(counting, context, continuations);
  // The context is read once, and no continuation's last token.
  EXPECT_EQ(counting.n_rows, 40u + 2 + 0 + 59);
  for (std::size_t c = 0; c < continuations.size(); ++c) {
    Ids all = context;
    all.insert(all.end(), continuations[c].begin(), continuations[c].end());
    const auto want = token_log_probabilities(*model_, all, 40);
    EXPECT_EQ(scores[c].token_log_probabilities, want);
    double sum = 0;
    for (const double w : want) sum += w;
    EXPECT_NEAR(scores[c].log_probability, sum, 1e-12);
    EXPECT_FALSE(scores[c].is_greedy);
  }
}

// Windows give up what the first continuation no longer needs.
TEST(ScoreWindows, ContinuationsOfALongContextEqualEachAlone) {
  SKUA_ASSET_OR_SKIP(folder, "goldens/lm/llama_sliding");
  const auto loaded = load_model(folder);
  Ids context, continuation;
  for (int i = 0; i < 500; ++i) context.push_back(i * 37 % 90);
  for (int i = 0; i < 300; ++i) continuation.push_back(i * 41 % 90);
  const auto scores = score_continuations(*loaded->model, context,
                                          {continuation, {7}, continuation});
  EXPECT_EQ(scores[0].token_log_probabilities,
            scores[2].token_log_probabilities);
  Ids all = context;
  all.push_back(7);
  EXPECT_EQ(scores[1].token_log_probabilities,
            token_log_probabilities(*loaded->model, all, 500));
}

// The expected ids are those of a float64 reference.
TEST_F(ScoreTest, GreedyIsWhatTheModelWouldWrite) {
  const Json expected = read_json(test::asset("lm/stories260K/expected.json"));
  const Json& c = expected["cases"][0];
  const auto prompt = c["prompt_ids"].get<Ids>();
  auto greedy = c["greedy_ids"].get<Ids>();
  EXPECT_TRUE(score(*model_, prompt, greedy).is_greedy);
  greedy.back() = (greedy.back() + 1) % 512;
  EXPECT_FALSE(score(*model_, prompt, greedy).is_greedy);
  greedy.pop_back();
  EXPECT_TRUE(score(*model_, prompt, greedy).is_greedy);
}

TEST_F(ScoreTest, SpacesBetweenBelongToTheContinuation) {
  const Tokenizer& tokenizer = loaded_->need_tokenizer();
  const EncodedPair pair = encode_pair(tokenizer, "Once upon  ", "a time");
  EXPECT_EQ(pair.context, tokenizer.encode("Once upon"));
  Ids all = pair.context;
  all.insert(all.end(), pair.continuation.begin(), pair.continuation.end());
  EXPECT_EQ(all, tokenizer.encode("Once upon  a time"));
  // A text alone follows the token that begins all texts.
  EXPECT_EQ(encode_pair(tokenizer, "", "Once").context, Ids{1});
  EXPECT_TRUE(encode_pair(tokenizer, "Once", "").continuation.empty());
}

TEST_F(ScoreTest, WhatCannotBeScoredIsRefused) {
  const Ids ids = some(10);
  const auto tokens = [&](const Ids& of, int first, int context = 0) {
    token_log_probabilities(*model_, of, first, {.context = context});
  };
  EXPECT_THROW(tokens(ids, 0), InvalidInput);
  EXPECT_THROW(tokens(ids, 11), InvalidInput);
  EXPECT_THROW(tokens({}, 1), InvalidInput);
  EXPECT_THROW(tokens({1, 512}, 1), InvalidInput);
  EXPECT_THROW(tokens({1, -1}, 1), InvalidInput);
  EXPECT_THROW(tokens(ids, 1, 9), InvalidInput);
  tokens(ids, 1, 10);
  const auto windows = [&](const Ids& of, int window, int stride) {
    perplexity(*model_, of, {window, stride, {}, {}});
  };
  EXPECT_THROW(windows({1}, 0, 0), InvalidInput);
  EXPECT_THROW(windows({}, 0, 0), InvalidInput);
  EXPECT_THROW(windows(ids, 1, 0), InvalidInput);
  EXPECT_THROW(windows(ids, -1, 0), InvalidInput);
  EXPECT_THROW(windows(ids, 4, 5), InvalidInput);
  EXPECT_THROW(windows(ids, 4, -1), InvalidInput);
  EXPECT_THROW(windows({1, 2, 512}, 2, 1), InvalidInput);
  EXPECT_THROW(score(*model_, {}, ids), InvalidInput);
  EXPECT_THROW(score(*model_, ids, {}), InvalidInput);
  EXPECT_THROW(score(*model_, ids, ids, {.context = 19}), InvalidInput);
  CountingModel broken(*model_);
  broken.bad_logit = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(token_log_probabilities(broken, ids, 1), Error);
}

TEST_F(ScoreTest, ProgressCountsAndMayEndTheWork) {
  const Ids ids = some(300);
  std::vector<std::size_t> seen;
  ScoreOptions options;
  options.progress = [&](std::size_t n) {
    seen.push_back(n);
    if (n >= 128) throw Error("test", "enough");
  };
  EXPECT_THROW(token_log_probabilities(*model_, ids, 1, options), Error);
  EXPECT_THAT(seen, testing::ElementsAre(64, 128));
  PerplexityOptions windows{100, 100, {}, {}};
  seen.clear();
  windows.progress = [&](std::size_t n) { seen.push_back(n); };
  perplexity(*model_, ids, windows);
  EXPECT_EQ(seen.back(), 297u);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

}  // namespace
}  // namespace skua
