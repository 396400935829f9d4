#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <tuple>

#include "skua/error.h"
#include "tests/unit/kernels/attention_steps.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::Heads;
using test::kBatches;
using test::kTypes;
using test::kVariants;
using test::normal;
using test::numbers;
using test::options_of;
using test::Step;
using test::Variant;
using test::worst;
using Layout = KvCache::Layout;

// Both layouts hold the same numbers, so that only sums may differ.
void expect_like_fallback(const Step& step, const AttentionOptions& o,
                          KvType type) {
  const auto got = step.run(o, type, Layout::kPages);
  const auto want = step.run(o, type, Layout::kArrays);
  EXPECT_LE(worst(got.out, want.out), 1e-5);
  EXPECT_EQ(got.keys, want.keys);
  EXPECT_EQ(got.values, want.values);
}

class AttentionHeads : public testing::TestWithParam<Heads> {};

TEST_P(AttentionHeads, EqualsItsFallbackForEveryOption) {
  for (const auto& segments : kBatches) {
    const Step step(GetParam(), segments);
    for (const Variant& variant : kVariants) {
      SCOPED_TRACE(std::string(variant.name) + ", segments " +
                   std::to_string(segments.size()));
      expect_like_fallback(step, options_of(variant, step), KvType::kF32);
    }
  }
}

TEST_P(AttentionHeads, EqualsItsFallbackForEveryType) {
  const Step step(GetParam(), kBatches.back());
  for (const KvType type : kTypes) {
    for (const Variant& variant : {kVariants.front(), kVariants.back()}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(type)) + variant.name);
      expect_like_fallback(step, options_of(variant, step), type);
    }
  }
}

TEST_P(AttentionHeads, OnEveryInstructionSetEqualsItsFallback) {
  const Step step(GetParam(), {{0, 7, 250}, {0, 1, 12}});
  const AttentionOptions o = options_of(kVariants.back(), step);
  test::on_every_target([&] {
    for (const KvType type : kTypes) expect_like_fallback(step, o, type);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionHeads,
    testing::Values(Heads{1, 1, 8, 8}, Heads{8, 4, 8, 8}, Heads{4, 1, 12, 12},
                    Heads{9, 3, 64, 64}, Heads{7, 1, 72, 80},
                    Heads{3, 3, 24, 17}, Heads{4, 2, 192, 128},
                    Heads{4, 2, 256, 256}),
    [](const auto& info) { return info.param.name(); });

// The bound that the header states.
TEST(Attention, StaysWithinItsBoundOfTheFloat64Result) {
  for (const Heads heads : {Heads{6, 2, 64, 64}, Heads{4, 1, 128, 40}}) {
    for (const float spread : {0.01f, 1.0f, 8.0f}) {
      const Step step(heads, {{0, 70, 300}, {0, 3, 0}, {0, 1, 555}}, spread);
      for (const Variant& variant : kVariants) {
        const AttentionOptions o = options_of(variant, step);
        for (const KvType type : kTypes) {
          SCOPED_TRACE(variant.name);
          const auto got = step.run(o, type, Layout::kPages);
          EXPECT_LE(test::worst_by_oracle(step, o, got, test::float32_bound),
                    1.0)
              << spread;
        }
      }
    }
  }
}

TEST(Attention, EqualsItsFallbackForEveryNumberOfRows) {
  for (int t = 1; t <= 70; ++t) {
    const Step step({3, 1, 24, 24}, {{0, t, t * 7 % 300}});
    expect_like_fallback(step, options_of(kVariants[0], step), KvType::kBf16);
  }
}

TEST(Attention, ExtremeScoresNeitherOverflowNorVanish) {
  for (const float spread : {1e-20f, 300.0f, 1e6f, 1e30f}) {
    const Step step({4, 2, 12, 12}, kBatches.back(), spread);
    const auto got = step.run({}, KvType::kF32, Layout::kPages).out;
    for (const float x : got) ASSERT_TRUE(std::isfinite(x)) << spread;
    // Scores of 1e6 are known to 0.1: only near ties could differ.
    EXPECT_LE(worst(got, step.run({}, KvType::kF32, Layout::kArrays).out),
              spread == 1e6f ? 0.2 : 1e-4)
        << spread;
  }
}

// A later row's infinite value must not reach the rows before it.
TEST(Attention, RowsDoNotSeeWhatFollowsThem) {
  Step step({4, 2, 24, 24}, {{0, 20, 5}});
  const auto clean = step.run({}, KvType::kBf16, Layout::kPages).out;
  const mx::array last = mx::full({1, 2, 24}, INFINITY);
  step.v =
      mx::concatenate({mx::slice(step.v, {0, 0, 0}, {19, 2, 24}), last}, 0);
  const auto got = step.run({}, KvType::kBf16, Layout::kPages).out;
  EXPECT_TRUE(
      std::equal(got.begin(), got.begin() + 19 * 4 * 24, clean.begin()));
  EXPECT_FALSE(std::isfinite(got.back()));
}

TEST(Attention, KeepsWhatIsNoNumberInItsRow) {
  const Step step({4, 2, 24, 24}, {{0, 40, 5}});
  for (const Precision precision : {Precision::kExact, Precision::kDefault}) {
    const AttentionOptions o = {.precision = precision};
    const auto clean = step.run(o, KvType::kBf16, Layout::kPages).out;
    for (const float bad : {INFINITY, NAN}) {
      Step broken = step;
      broken.q = mx::concatenate(
          {mx::full({1, 4, 24}, bad), test::rows(step.q, 1, 39)}, 0);
      const auto got = broken.run(o, KvType::kBf16, Layout::kPages).out;
      for (std::size_t i = 0; i < got.size(); ++i) {
        if (i < 4 * 24)
          ASSERT_FALSE(std::isfinite(got[i])) << i;
        else
          ASSERT_EQ(got[i], clean[i]) << i;
      }
    }
  }
}

TEST(Attention, ARowThatSeesNothingIsZero) {
  const Step step({4, 2, 8, 8}, {{0, 2, 3}});
  AttentionOptions o;
  o.mask = mx::full({2, 5}, -INFINITY);
  for (const float x : step.run(o, KvType::kF32, Layout::kPages).out)
    EXPECT_EQ(x, 0.0f);
}

// Tiles of one, of few and of all rows, by the heads that share a key.
constexpr Heads kShared[] = {{2, 2, 24, 40}, {6, 3, 24, 40}, {7, 1, 16, 16}};

class AttentionBits : public testing::TestWithParam<std::tuple<KvType, Heads>> {
};

// Rows [first, first + n) of the options' mask.
AttentionOptions part_of(AttentionOptions o, int first, int n) {
  if (o.mask)
    o.mask = mx::slice(*o.mask, {first, 0}, {first + n, o.mask->shape(1)});
  return o;
}

TEST_P(AttentionBits, OfARowAreTheSameAloneInChunksAndBesideOthers) {
  const auto [type, heads] = GetParam();
  const Step whole(heads, {{0, 300, 0}});
  const Step other(heads, {{0, 4, 270}});
  for (const Variant& variant : kVariants) {
    SCOPED_TRACE(variant.name);
    const AttentionOptions o = options_of(variant, whole);
    if (!o.causal) continue;
    const auto want = whole.run(o, type, Layout::kPages).out;
    KvCache cache = whole.make_cache(type, Layout::kPages);
    std::vector<float> got;
    int at = 0;
    for (const int n : {1, 2, 7, 1, 49, 190, 5, 1, 3, 1, 1, 39}) {
      const auto some = numbers(append_and_attend(
          test::rows(whole.q, at, n), test::rows(whole.k, at, n),
          test::rows(whole.v, at, n), {{0, n, at}}, {cache},
          part_of(o, at, n)));
      got.insert(got.end(), some.begin(), some.end());
      at += n;
    }
    ASSERT_EQ(at, 300);
    EXPECT_EQ(got, want);

    AttentionOptions both = o;
    if (o.mask) {
      both.mask =
          mx::concatenate({mx::zeros({4, o.mask->shape(1)}), *o.mask}, 0);
    }
    auto caches = other.filled(type, Layout::kPages);
    caches.push_back(whole.make_cache(type, Layout::kPages));
    const auto out =
        numbers(append_and_attend(mx::concatenate({other.q, whole.q}, 0),
                                  mx::concatenate({other.k, whole.k}, 0),
                                  mx::concatenate({other.v, whole.v}, 0),
                                  {{0, 4, 270}, {4, 300, 0}}, caches, both));
    EXPECT_TRUE(std::equal(want.rbegin(), want.rend(), out.rbegin()));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AttentionBits,
                         testing::Combine(testing::ValuesIn(kTypes),
                                          testing::ValuesIn(kShared)));

TEST(Attention, ReadsStridedQueriesAndKeys) {
  Step step({4, 2, 8, 8}, {{0, 6, 3}});
  const auto want = step.run({}, KvType::kF32, Layout::kPages).out;
  for (mx::array* x : {&step.q, &step.k, &step.v}) {
    const mx::array swapped = mx::contiguous(mx::transpose(*x, {1, 0, 2}));
    *x = mx::transpose(swapped, {1, 0, 2});
  }
  EXPECT_EQ(step.run({}, KvType::kF32, Layout::kPages).out, want);
}

TEST(Attention, NamesWhatDoesNotFit) {
  const Step good({4, 2, 8, 8}, {{0, 3, 5}, {0, 1, 0}});
  const auto broken = [&](const auto& change, const char* part) {
    for (const Layout layout : {Layout::kPages, Layout::kArrays}) {
      Step s = good;
      AttentionOptions o;
      auto caches = s.filled(KvType::kF32, layout);
      change(s, o, caches);
      SKUA_EXPECT_ERROR(append_and_attend(s.q, s.k, s.v, s.segments, caches, o),
                        InvalidInput, part);
    }
  };
  using Caches = std::vector<KvCache>;
  using O = AttentionOptions;
  broken([](Step& s, O&, Caches&) { s.q = mx::zeros({4, 32}); },
         "[attention] q");
  broken([](Step& s, O&, Caches&) { s.k = mx::zeros({4, 3, 8}); },
         "[attention] k");
  broken([](Step& s, O&, Caches&) { s.k = mx::zeros({4, 2, 9}); },
         "[attention] k");
  broken([](Step& s, O&, Caches&) { s.v = mx::zeros({3, 2, 8}); },
         "[attention] v");
  broken([](Step& s, O&, Caches&) { s.v = mx::astype(s.v, mx::float16); },
         "[attention] v");
  broken([](Step& s, O&, Caches&) { s.v = mx::zeros({4, 2, 9}); },
         "the caches are expected");
  broken([](Step&, O&, Caches& c) { c.pop_back(); },
         "2 segments, got 1 caches");
  broken([](Step&, O&, Caches& c) { c[1] = KvCache(KvType::kF16, 2, 8, 8); },
         "the caches are expected");
  for (const int position : {-1, 0x7fffffff})
    broken([=](Step& s, O&, Caches&) { s.segments[0].position = position; },
           "segment 0 has 3 rows");
  broken([](Step& s, O&, Caches&) { s.segments[0].position = 1 << 30; },
         "positions wanted");
  for (const int n : {0, -1, 2, 0x7fffffff})
    broken([=](Step& s, O&, Caches&) { s.segments[1].n_rows = n; },
           "segment 1 has");
  broken([](Step& s, O&, Caches&) { s.segments[1].first_row = 2; },
         "expected at least one from row 3 of 4");
  broken(
      [](Step& s, O&, Caches& c) {
        s.segments.pop_back();
        c.pop_back();
      },
      "rows do not match");
  broken([](Step&, O& o, Caches&) { o.mask = mx::zeros({4, 7}); },
         "the mask is expected to be [T, >= 8]");
  broken([](Step&, O& o, Caches&) { o.mask = mx::zeros({3, 9}); }, "the mask");
  broken([](Step&, O& o, Caches&) { o.sinks = mx::zeros({2}); },
         "slopes and sinks");
  broken([](Step&, O& o, Caches&) { o.slopes = mx::zeros({4, 1}); },
         "slopes and sinks");
  broken([](Step&, O& o, Caches&) { o.soft_cap = NAN; }, "soft cap");
  broken([](Step&, O& o, Caches&) { o.window = -1; }, "window");
  broken([](Step&, O& o, Caches&) { o.keep = -1; }, "keep");
  broken([](Step&, O&, Caches& c) { c[0].hold_only(0, 256, 512); },
         "segment 0 sees positions that its cache has given up");
}

}  // namespace
}  // namespace skua
