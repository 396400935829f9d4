#include "generate/oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <set>
#include <unordered_set>

#include "generate/score.h"
#include "kernels/primitive.h"
#include "models/load.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::numbers;
using test::worst;
using Ids = std::vector<std::int32_t>;

struct Graph {
  std::set<std::string> names;  // of the primitives
  bool has_kernels = false;     // ours
};

Graph graph_of(const mx::array& result) {
  Graph graph;
  std::unordered_set<std::uintptr_t> seen;
  std::vector<mx::array> open = {result};
  while (!open.empty()) {
    const mx::array a = open.back();
    open.pop_back();
    if (!seen.insert(a.id()).second || !a.has_primitive()) continue;
    graph.names.insert(a.primitive().name());
    if (dynamic_cast<const CpuKernel*>(&a.primitive()) != nullptr)
      graph.has_kernels = true;
    open.insert(open.end(), a.inputs().begin(), a.inputs().end());
  }
  return graph;
}

Ids some(int n, int vocab_size) {
  Ids ids;
  for (int i = 0; i < n; ++i) ids.push_back((i * 37 + i / 7 + 11) % vocab_size);
  return ids;
}

class OracleTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto folder = test::asset(std::string("goldens/lm/") + GetParam());
    if (folder.empty())
      GTEST_SKIP() << "no test asset goldens/lm/" << GetParam();
    loaded_ = load_model(folder, {.precision = Precision::kExact});
    model_ = loaded_->model.get();
  }

  // The graph of a step of a fresh cache.
  mx::array step(const Ids& ids) const {
    const auto n = static_cast<int>(ids.size());
    Cache cache = model_->make_cache();
    Batch batch;
    batch.add(cache.add_sequence(), 0, n);
    batch.want_last();
    return model_->forward(mx::array(ids.begin(), {n}, mx::int32), batch,
                           cache);
  }

  // Logits after each of `lengths` tokens, fed in chunks that end there and
  // have `chunk` tokens at most.
  std::vector<std::vector<float>> cached(const Ids& ids,
                                         const std::vector<int>& lengths,
                                         int chunk) const {
    Cache cache = model_->make_cache();
    const int sequence = cache.add_sequence();
    std::vector<std::vector<float>> rows;
    int at = 0;
    for (const int length : lengths) {
      std::optional<mx::array> logits;
      while (at < length) {
        const int n = std::min(chunk, length - at);
        Batch batch;
        batch.add(sequence, at, n);
        batch.want_last();
        logits = model_->forward(mx::array(ids.begin() + at, {n}, mx::int32),
                                 batch, cache);
        at += n;
      }
      rows.push_back(numbers(*logits));
    }
    return rows;
  }

  std::shared_ptr<const LoadedModel> loaded_;
  const CausalLM* model_ = nullptr;
};

// COMP-05
TEST_P(OracleTest, ItsGraphHasPlainOperationsAlone) {
  const Ids ids = some(20, model_->vocab_size());
  const mx::array oracle = Oracle(*model_).graph(ids);
  const Graph plain = graph_of(oracle);
  EXPECT_FALSE(plain.has_kernels);
  EXPECT_TRUE(plain.names.contains("Matmul"));
  for (const std::string& name : plain.names) {
    for (const char* fused : {"RMSNorm", "RoPE", "Attention", "SDPA",
                              "Quantized", "GatherQMM", "Compiled"})
      EXPECT_EQ(name.find(fused), std::string::npos) << name;
  }
  // What would be there without its scope.
  const mx::array usual = step(ids);
  EXPECT_TRUE(graph_of(usual).has_kernels);
  EXPECT_LE(worst(numbers(usual), numbers(oracle)), 1e-4);
  EXPECT_FALSE(OracleScope::is_active());
}

// COMP-06, COMP-07
TEST_P(OracleTest, CachedLogitsEqualItAtEveryLengthAndSlabBorder) {
  const std::vector<int> lengths = {1,   2,   31,  32,  33, 255,
                                    256, 257, 511, 512, 513};
  const Ids ids = some(lengths.back(), model_->vocab_size());
  const Oracle oracle(*model_);
  std::vector<std::vector<float>> want;
  for (const int length : lengths) {
    want.push_back(
        oracle.logits(std::span(ids).first(static_cast<std::size_t>(length))));
  }
  for (const int chunk : {1, 100}) {
    const auto got = cached(ids, lengths, chunk);
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_LE(worst(got[i], want[i]), 1e-4) << lengths[i] << " by " << chunk;
  }
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto got = cached(ids, {lengths[i]}, lengths[i]);
    EXPECT_LE(worst(got[0], want[i]), 1e-4) << lengths[i] << " at once";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, OracleTest,
                         testing::Values("llama", "qwen3_q4g64", "gemma3_text"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

class OracleOfStories : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = test::asset("lm/stories260K/hf");
    if (folder.empty()) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    loaded_ = load_model(folder, {.precision = Precision::kExact});
  }
  std::shared_ptr<const LoadedModel> loaded_;
};

// GEN-61
TEST_F(OracleOfStories, ScoresAreItsLogProbabilities) {
  const CausalLM& model = *loaded_->model;
  const Ids ids = some(90, model.vocab_size());
  const auto scores = token_log_probabilities(model, ids, 1);
  const Oracle oracle(model);
  for (const std::size_t i : {0, 1, 62, 63, 64, 88}) {
    const auto want = oracle.log_probabilities(std::span(ids).first(i + 1));
    EXPECT_NEAR(scores[i], want[static_cast<std::size_t>(ids[i + 1])], 1e-4);
    double sum = 0;
    for (const double w : want) sum += std::exp(w);
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

// COMP-16, GEN-42
TEST_F(OracleOfStories, OnlyTheLastRowGoesThroughNormAndHead) {
  const CausalLM& model = *loaded_->model;
  const Ids ids = some(20, model.vocab_size());
  Cache cache = model.make_cache();
  Batch batch;
  batch.add(cache.add_sequence(), 0, 20);
  batch.want_last();
  const mx::array logits =
      model.forward(mx::array(ids.begin(), {20}, mx::int32), batch, cache);
  EXPECT_EQ(logits.shape(), (mx::Shape{1, model.vocab_size()}));
  const auto made_by = [](const mx::array& a) {
    return std::string(a.primitive().name());
  };
  ASSERT_EQ(made_by(logits), "linear");
  const mx::array normed = logits.inputs()[0];
  ASSERT_EQ(made_by(normed), "rms_norm");
  EXPECT_EQ(normed.shape(0), 1);
  std::vector<mx::array> open = {logits};
  while (!open.empty()) {
    const mx::array a = open.back();
    open.pop_back();
    EXPECT_FALSE(a.ndim() == 2 && a.shape(0) == 20 &&
                 a.shape(1) == model.vocab_size());
    if (a.has_primitive())
      open.insert(open.end(), a.inputs().begin(), a.inputs().end());
  }
}

TEST_F(OracleOfStories, WhatIsNoSequenceIsRefused) {
  const Oracle oracle(*loaded_->model);
  EXPECT_THROW(oracle.logits({}), InvalidInput);
  EXPECT_THROW(oracle.logits(Ids{1, 512}), InvalidInput);
  EXPECT_THROW(oracle.logits(Ids{-1}), InvalidInput);
  EXPECT_FALSE(OracleScope::is_active());
}

}  // namespace
}  // namespace skua
