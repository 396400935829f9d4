// What filters keep and what is drawn, against a full sort in float64.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "generate/random.h"
#include "generate/sampler.h"
#include "tests/unit/generate/choose.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

constexpr double kTolerance = 1e-6;  // of sums of probabilities

struct Reference {
  explicit Reference(std::vector<float> of) : logits(std::move(of)) {
    ranks.resize(logits.size());
    std::iota(ranks.begin(), ranks.end(), 0);
    std::ranges::sort(ranks, [&](std::size_t a, std::size_t b) {
      return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
    });
    largest = logits[ranks[0]];
    sums.push_back(0);
    for (const std::size_t id : ranks)
      sums.push_back(sums.back() + std::exp(logits[id] - largest));
  }

  // How many of the ranked tokens stay.
  std::size_t n_kept(const GenerationOptions& o, double top_p) const {
    std::size_t n = 0;
    for (const std::size_t id : ranks) {
      if (o.top_p > 0 && o.top_p < 1 && sums[n] >= top_p * sums.back()) break;
      if (o.min_p > 0 && logits[id] - largest < std::log(o.min_p)) break;
      if (o.top_k > 0 && n == static_cast<std::size_t>(o.top_k)) break;
      if (std::isinf(logits[id])) break;
      ++n;
    }
    return n;
  }

  std::vector<float> logits;
  std::vector<std::size_t> ranks;
  double largest = 0;
  std::vector<double> sums;  // of e^(logit - largest) before each rank
};

using Fill = std::function<float(std::mt19937&)>;

const std::vector<std::pair<const char*, Fill>>& shapes() {
  static std::normal_distribution<float> normal;
  static const std::vector<std::pair<const char*, Fill>> kAll = {
      {"equal", [](auto&) { return 3.25f; }},
      {"nearly flat", [](auto& e) { return 7 + 1e-4f * normal(e); }},
      {"normal", [](auto& e) { return normal(e); }},
      {"peaked",
       [](auto& e) { return e() % 300 == 0 ? 4 * normal(e) : normal(e) - 12; }},
      {"ties", [](auto& e) { return std::round(2 * normal(e)) / 2; }},
      {"two values", [](auto& e) { return e() % 3 == 0 ? 1.0f : 0.5f; }},
      {"masked",
       [](auto& e) { return e() % 2 == 0 ? -INFINITY : 3 * normal(e); }},
      {"huge", [](auto& e) { return 1e30f * normal(e); }},
      {"tiny", [](auto& e) { return 1e-38f * normal(e); }},
      {"every magnitude",
       [](auto& e) {
         return std::ldexp(normal(e), static_cast<int>(e() % 240) - 120);
       }},
  };
  return kAll;
}

GenerationOptions random_options(std::mt19937& engine, std::size_t n) {
  const auto one_of = [&](const std::vector<double>& values) {
    return values[engine() % values.size()];
  };
  const auto v = static_cast<double>(n);
  GenerationOptions o;
  o.temperature = one_of({0.3, 0.7, 1, 1.5});
  if (engine() % 2) o.top_p = one_of({0, 1e-4, 0.1, 0.5, 0.9, 0.95, 0.9995});
  if (engine() % 3 == 0) o.min_p = one_of({1e-9, 0.01, 0.05, 0.5, 1});
  if (engine() % 2) {
    o.top_k = static_cast<int>(
        one_of({1, 2, 40, std::ceil(v / 3), std::max(1.0, v - 1), v, v + 9}));
  }
  o.seed = engine();
  return o;
}

// Returns whether rounding could decide which tokens stay.
bool check_filters(const Reference& r, const GenerationOptions& o) {
  const auto got = test::filtered(r.logits, o);
  const std::size_t least = r.n_kept(o, o.top_p * (1 - kTolerance));
  const std::size_t most = r.n_kept(o, o.top_p * (1 + kTolerance));
  std::size_t n = 0;
  while (n < got.size() && std::isfinite(got[r.ranks[n]])) ++n;
  EXPECT_GE(n, least);
  EXPECT_LE(n, most);
  for (std::size_t rank = n; rank < got.size(); ++rank)
    if (std::isfinite(got[r.ranks[rank]])) {
      ADD_FAILURE() << "rank " << rank << " stays, rank " << n << " does not";
      break;
    }
  return least != most;
}

// The drawn token covers the random number in the sum over the kept ids.
void check_draw(const Reference& r, const GenerationOptions& o,
                std::uint64_t step) {
  const auto drawn =
      static_cast<std::size_t>(test::choose(r.logits, o, o.seed.value(), step));
  std::vector<double> weights(r.logits.size());
  const std::size_t n = r.n_kept(o, o.top_p);
  for (std::size_t rank = 0; rank < n; ++rank) {
    const std::size_t id = r.ranks[rank];
    weights[id] = std::exp((r.logits[id] - r.largest) / o.temperature);
  }
  ASSERT_GT(weights[drawn], 0) << "id " << drawn;
  const double total = std::reduce(weights.begin(), weights.end());
  const auto at = weights.begin() + static_cast<std::ptrdiff_t>(drawn);
  const double before = std::accumulate(weights.begin(), at, 0.0) / total;
  const double uniform = philox_uniform(o.seed.value(), step);
  EXPECT_GE(uniform, before - 2 * kTolerance);
  EXPECT_LE(uniform, before + *at / total + 2 * kTolerance);
}

void compare(std::size_t n, int n_logits, int n_options) {
  std::mt19937 engine(static_cast<unsigned>(n));
  int n_cases = 0, n_unsure = 0;
  for (int i = 0; i < n_logits; ++i) {
    for (const auto& [name, fill] : shapes()) {
      std::vector<float> logits(n);
      for (float& l : logits) l = fill(engine);
      if (std::ranges::none_of(logits, [](float l) { return l > -INFINITY; }))
        logits.back() = 0;
      const Reference reference(std::move(logits));
      for (int j = 0; j < n_options; ++j) {
        const GenerationOptions o = random_options(engine, n);
        SCOPED_TRACE(std::string(name) + ", V " + std::to_string(n) +
                     ", top_p " + std::to_string(o.top_p) + ", min_p " +
                     std::to_string(o.min_p) + ", top_k " +
                     std::to_string(o.top_k) + ", temperature " +
                     std::to_string(o.temperature));
        ++n_cases;
        if (check_filters(reference, o))
          ++n_unsure;
        else
          check_draw(reference, o, static_cast<std::uint64_t>(i));
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  EXPECT_LT(n_unsure, n_cases / 10);
  std::printf("V %zu: %d cases, rounding decides in %d\n", n, n_cases,
              n_unsure);
}

class SamplerOfVocabulary : public testing::TestWithParam<std::size_t> {};

// GEN-11, GEN-16, GEN-17, GEN-22, GEN-25
TEST_P(SamplerOfVocabulary, EqualsAFullSortInFloat64) {
  const std::size_t n = GetParam();
  n <= 1000 ? compare(n, 20, 10) : compare(n, 2, 12);
}

INSTANTIATE_TEST_SUITE_P(Sizes, SamplerOfVocabulary,
                         testing::Values(1, 2, 7, 1000, 49152, 128256),
                         testing::PrintToStringParamName());

TEST(SamplerOfVocabulary, EqualsAFullSortOnEveryInstructionSet) {
  test::on_every_target([] { compare(2500, 3, 10); });
}

}  // namespace
}  // namespace skua
