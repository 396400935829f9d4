// Real models: logits, greedy ids and perplexity as mlx-lm computes them in
// float32 on the decoded weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "generate/session.h"
#include "tests/golden/golden.h"
#include "tests/support.h"

namespace skua {
namespace {

using test::argmax;
using test::to_host;

struct RealModel {
  const char* golden;
  const char* file;
};

class RealGolden : public testing::TestWithParam<RealModel> {
 protected:
  void SetUp() override {
    const auto golden =
        test::asset(std::string("goldens/real/") + GetParam().golden + ".json");
    if (golden.empty()) GTEST_SKIP() << "no test asset goldens/real";
    const auto file = test::cached_model(GetParam().file);
    if (file.empty()) GTEST_SKIP() << "no model file " << GetParam().file;
    expected_ = read_json(golden);
    model_ = test::load_lm(file);
  }

  Json expected_;
  std::unique_ptr<CausalLM> model_;
};

TEST_P(RealGolden, LogitsAndGreedyIdsMatchTheReference) {
  for (const Json& c : expected_["cases"]) {
    SCOPED_TRACE(c["id"].get<std::string>());
    Session session(*model_);
    mx::array logits =
        session.prefill(c["ids"].get<std::vector<std::int32_t>>());
    const std::vector<float> first = to_host(logits);
    const Json& top = c.at("logits");
    double worst = 0;
    for (std::size_t i = 0; i < top["top_ids"].size(); ++i) {
      worst = std::max(worst, std::abs(first.at(top["top_ids"][i]) -
                                       top["top_logits"][i].get<double>()));
    }
    EXPECT_LE(worst, 2e-3);
    std::vector<std::int32_t> ids;
    while (true) {
      ids.push_back(argmax(to_host(logits)));
      if (ids.size() == c["greedy_ids"].size()) break;
      logits = session.decode(ids.back());
    }
    EXPECT_EQ(ids, c["greedy_ids"].get<std::vector<std::int32_t>>());
  }
}

double logsumexp(const std::vector<float>& logits) {
  const double max = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return max + std::log(sum);
}

TEST_P(RealGolden, PerplexityMatchesTheReference) {
  const Json& golden = expected_["perplexity"];
  const auto ids = golden["ids"].get<std::vector<std::int32_t>>();
  Cache cache = model_->make_cache();
  const int sequence = cache.add_sequence();
  constexpr std::size_t kChunk = 128;
  double total = 0;
  std::size_t n_scored = 0, n_right = 0;
  for (std::size_t i = 0; i + 1 < ids.size(); i += kChunk) {
    const auto n = static_cast<int>(std::min(kChunk, ids.size() - 1 - i));
    Batch batch;
    batch.add(sequence, static_cast<int>(i), n);
    for (int r = 0; r < n; ++r) batch.output_rows.push_back(r);
    const auto begin = ids.begin() + static_cast<long>(i);
    const auto logits =
        model_->forward(mx::array(begin, {n}, mx::int32), batch, cache);
    for (int r = 0; r < n; ++r) {
      const std::vector<float> row = to_host(mx::take(logits, r, 0));
      const double nll = logsumexp(row) - row.at(begin[r + 1]);
      if (n_scored < golden["nll_first_32"].size()) {
        EXPECT_NEAR(nll, golden["nll_first_32"][n_scored], 1e-3) << n_scored;
      }
      n_right += argmax(row) == begin[r + 1];
      total += nll;
      ++n_scored;
    }
  }
  const double perplexity = std::exp(total / static_cast<double>(n_scored));
  const double want = golden["perplexity"];
  EXPECT_NEAR(perplexity / want, 1, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Models, RealGolden,
    testing::Values(RealModel{"smollm2_135m",
                              "SmolLM2-135M-Instruct.Q4_1.gguf"},
                    RealModel{"gemma3_270m", "gemma-3-270m-q4_k_m.gguf"}),
    [](const auto& info) { return std::string(info.param.golden); });

}  // namespace
}  // namespace skua
