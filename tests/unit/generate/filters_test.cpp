// Filters, against sorts in float64.
#include "generate/filters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "tests/unit/generate/choose.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using Ids = std::set<std::int32_t>;
using Floats = std::vector<float>;

Ids kept(const Floats& logits, const GenerationOptions& options) {
  const Floats left = test::filtered(logits, options);
  Ids ids;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (std::isfinite(left[i])) ids.insert(static_cast<std::int32_t>(i));
  return ids;
}

std::vector<double> probabilities(const Floats& logits) {
  const float largest = *std::ranges::max_element(logits);
  std::vector<double> p;
  for (const float l : logits) p.push_back(std::exp(double{l} - largest));
  const double total = std::reduce(p.begin(), p.end());
  for (double& x : p) x /= total;
  return p;
}

Floats random_logits(std::mt19937& engine, std::size_t n, float spread,
                     bool masks) {
  std::normal_distribution<float> normal(0, spread);
  Floats logits(n);
  for (float& l : logits) {
    l = normal(engine);
    if (masks && engine() % 5 == 0) l = -INFINITY;
  }
  logits[engine() % n] = spread;
  return logits;
}

// GEN-18
TEST(Filters, MinPKeepsAsManyTokensAsItIsTold) {
  Floats logits(20);
  std::iota(logits.begin(), logits.end(), -5.0f);
  EXPECT_EQ(kept(logits, {.min_p = 1}), (Ids{19}));
  EXPECT_EQ(kept(logits, {.min_p = 1, .min_tokens_to_keep = 7}),
            (Ids{13, 14, 15, 16, 17, 18, 19}));
  EXPECT_EQ(kept(logits, {.min_p = 0.1, .min_tokens_to_keep = 2}),
            (Ids{17, 18, 19}));
  EXPECT_EQ(kept(logits, {.min_p = 1, .min_tokens_to_keep = 20}).size(), 20u);
  // What is not there or what top_p leaves out does not come back.
  logits[19] = -INFINITY;
  EXPECT_EQ(kept(logits, {.min_p = 1, .min_tokens_to_keep = 20}).size(), 19u);
  EXPECT_EQ(kept(logits, {.top_p = 0.1, .min_p = 1, .min_tokens_to_keep = 7}),
            (Ids{18}));
  // Of equals the lower ids stay.
  EXPECT_EQ(kept({0, 1, 0, 0}, {.min_p = 1, .min_tokens_to_keep = 3}),
            (Ids{0, 1, 2}));
}

// GEN-16: the flat tail is longer than top_k, so that the top choices must go
// before; what top_p leaves decides what XTC sees.
TEST(Filters, XtcComesAfterTopPAndBeforeTopK) {
  const Floats logits = {3, 2.9f, 2.8f, 0, 0, 0};
  GenerationOptions options{.xtc_probability = 1, .xtc_threshold = 0.2};
  options.xtc_special_tokens.emplace();
  EXPECT_EQ(kept(logits, options), (Ids{2, 3, 4, 5}));
  options.top_k = 2;
  EXPECT_EQ(kept(logits, options), (Ids{2, 3}));
  options.top_k = 0;
  options.top_p = 0.5;
  EXPECT_EQ(kept(logits, options), (Ids{1}));
  // Without the filter before it the second is not above the threshold.
  options.top_p = 0;
  options.xtc_threshold = 0.33;
  EXPECT_EQ(kept(logits, options).size(), 6u);
  options.top_p = 0.5;
  EXPECT_EQ(kept(logits, options), (Ids{1}));
}

// GEN-19
TEST(Filters, XtcSparesSpecialTokensAndASingleTopChoice) {
  const Floats logits = {3, 2.9f, 2.8f, 0};
  const TokenRoles roles{.vocab_size = 4, .eos_ids = {0}, .newline_ids = {1}};
  GenerationOptions options{.xtc_probability = 1, .xtc_threshold = 0.1};
  const auto left = [&] {
    const Floats all =
        Sampler(options, roles, 0).filtered_log_probabilities(logits, {{}, 0});
    Ids ids;
    for (std::int32_t id = 0; id < 4; ++id)
      if (std::isfinite(all[static_cast<std::size_t>(id)])) ids.insert(id);
    return ids;
  };
  EXPECT_EQ(left(), (Ids{0, 1, 2, 3}));
  options.xtc_special_tokens = std::vector<std::int32_t>{1};
  EXPECT_EQ(left(), (Ids{1, 2, 3}));
  options.xtc_special_tokens->clear();
  EXPECT_EQ(left(), (Ids{2, 3}));
  EXPECT_EQ(kept({50, 0, 0}, options), (Ids{0, 1, 2}));
  EXPECT_EQ(kept({1, 1, -9}, options), (Ids{0, 1, 2}));
}

// GEN-19
TEST(Filters, XtcEqualsItsDefinition) {
  std::mt19937 engine(1);
  int n_cut = 0;
  for (int i = 0; i < 500; ++i) {
    const Floats logits = random_logits(engine, 2 + engine() % 60, 2, i % 2);
    const auto p = probabilities(logits);
    GenerationOptions o{.xtc_probability = 1,
                        .xtc_threshold = 0.01 + 0.05 * (engine() % 5)};
    const auto special = static_cast<std::int32_t>(engine() % logits.size());
    o.xtc_special_tokens = std::vector<std::int32_t>{special};
    double least = INFINITY;
    for (const double x : p)
      if (x > o.xtc_threshold) least = std::min(least, x);
    Ids want;
    for (std::size_t id = 0; id < p.size(); ++id)
      if (p[id] > 0 &&
          (p[id] <= least || id == static_cast<std::size_t>(special)))
        want.insert(static_cast<std::int32_t>(id));
    n_cut += want.size() < static_cast<std::size_t>(std::ranges::count_if(
                               p, [](double x) { return x > 0; }));
    ASSERT_EQ(kept(logits, o), want) << i;
  }
  EXPECT_GT(n_cut, 100);
}

// How many of the tokens, the most typical first, reach the mass.
struct Typical {
  Typical(const Floats& logits, double mass) {
    const auto p = probabilities(logits);
    double entropy = 0;
    for (const double x : p)
      if (x > 0) entropy -= x * std::log(x);
    for (std::size_t id = 0; id < p.size(); ++id)
      if (p[id] > 0) {
        const double distance = std::abs(-std::log(p[id]) - entropy);
        ranked.push_back({distance, static_cast<std::int32_t>(id)});
      }
    std::ranges::sort(ranked);
    double sum = 0;
    while (n < ranked.size() && sum < mass) {
      before = sum;
      sum += p[static_cast<std::size_t>(ranked[n++].second)];
    }
    after = sum;
  }

  std::vector<std::pair<double, std::int32_t>> ranked;
  std::size_t n = 0;
  double before = 0, after = 0;
};

// GEN-33
TEST(Filters, TypicalEqualsItsDefinition) {
  std::mt19937 engine(2);
  int n_sure = 0;
  for (int i = 0; i < 400; ++i) {
    const std::size_t n = i % 20 == 0 ? 20000 : 1 + engine() % 300;
    const float spread = i % 3 == 0 ? 0.3f : 3.0f;
    const Floats logits = random_logits(engine, n, spread, i % 2);
    const double mass = 0.05 + 0.1 * (engine() % 10);
    const Typical want(logits, mass);
    // Where the sum is near the mass or the next is as typical, rounding
    // decides.
    const auto last = want.ranked[want.n - 1].first;
    const bool tie =
        want.n < want.ranked.size() && want.ranked[want.n].first - last < 1e-5;
    const bool near = std::min(mass - want.before, want.after - mass) < 1e-5;
    if (tie || near) continue;
    ++n_sure;
    Ids ids;
    for (std::size_t rank = 0; rank < want.n; ++rank)
      ids.insert(want.ranked[rank].second);
    ASSERT_EQ(kept(logits, {.typical_p = mass}), ids) << i << ", V " << n;
  }
  EXPECT_GT(n_sure, 300);
}

// GEN-33: of equally typical tokens those with lower ids stay, as many as are
// needed.
TEST(Filters, TypicalOfAFlatDistributionKeepsItsPart) {
  const auto half = kept(Floats(1000, 2.5f), {.typical_p = 0.5});
  EXPECT_EQ(half.size(), 500u);
  EXPECT_EQ(*half.rbegin(), 499);
  EXPECT_EQ(kept(Floats(1000, 2.5f), {.typical_p = 1}).size(), 1000u);
  EXPECT_EQ(kept({1}, {.typical_p = 0.1}), (Ids{0}));
}

// GEN-33: the deviation is that of all finite logits, whatever other filters
// leave; it counts from the largest that is left.
TEST(Filters, TopNSigmaEqualsItsDefinition) {
  std::mt19937 engine(3);
  for (int i = 0; i < 300; ++i) {
    const Floats logits = random_logits(engine, 2 + engine() % 500, 2, i % 2);
    double n = 0, sum = 0, squares = 0;
    for (const float l : logits)
      if (std::isfinite(l)) {
        ++n;
        sum += l;
      }
    for (const float l : logits)
      if (std::isfinite(l)) squares += (l - sum / n) * (l - sum / n);
    GenerationOptions o{.top_n_sigma = 0.25 * (1 + engine() % 8)};
    if (i % 3 == 0) o.top_k = 40;
    const double least = *std::ranges::max_element(logits) -
                         o.top_n_sigma * std::sqrt(squares / n);
    Ids want;
    for (const std::int32_t id : kept(logits, {.top_k = o.top_k}))
      if (logits[static_cast<std::size_t>(id)] >= least) want.insert(id);
    ASSERT_EQ(kept(logits, o), want) << i;
  }
  GenerationOptions o{
      .xtc_probability = 1, .xtc_threshold = 0.1, .top_n_sigma = 0.01};
  o.xtc_special_tokens.emplace();
  EXPECT_EQ(kept({9, 8, 0, 0}, o), (Ids{1}));
}

// GEN-33: as with XTC the order can be seen.
TEST(Filters, TypicalComesAfterTopK) {
  // Of all, the four equal ones are typical; of the first two the second is.
  const Floats logits = {2, 1.9f, 1, 1, 1, 1, 1, 1};
  const auto all = kept(logits, {.typical_p = 0.2});
  EXPECT_FALSE(all.contains(0));
  EXPECT_EQ(kept(logits, {.top_k = 2, .typical_p = 0.2}).size(), 1u);
  EXPECT_LE(*kept(logits, {.top_k = 2, .typical_p = 0.2}).begin(), 1);
}

}  // namespace
}  // namespace skua
