#include "kernels/kv_cache.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <string>

#include "kernels/attention.h"
#include "skua/error.h"
#include "tests/memory.h"
#include "tests/unit/kernels/attention_steps.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;
using Layout = KvCache::Layout;

constexpr int kHeads = 4, kKvHeads = 2, kKeyDim = 12, kValueDim = 20;
constexpr int kMost = 3000;

class HeldPart : public testing::TestWithParam<Layout> {
 protected:
  KvCache make(KvType type = KvType::kF32, int quantize_from = KvCache::kNever,
               KvType quantized_type = KvType::kInt8,
               Layout layout = GetParam()) const {
    return {type,   kKvHeads,      kKeyDim,       kValueDim,
            layout, quantize_from, quantized_type};
  }
  std::vector<float> step(const KvCache& cache, int at, int n,
                          const AttentionOptions& o) const {
    return numbers(
        append_and_attend(test::rows(q_, at, n), test::rows(k_, at, n),
                          test::rows(v_, at, n), {{0, n, at}}, {cache}, o));
  }

  mx::array q_ = normal({kMost, kHeads, kKeyDim}, 1);
  mx::array k_ = normal({kMost, kKvHeads, kKeyDim}, 2);
  mx::array v_ = normal({kMost, kKvHeads, kValueDim}, 3);
};

// GEN-71, GEN-74
TEST_P(HeldPart, GivesWhatTheWholeCacheGives) {
  struct Case {
    int window, keep;
  };
  for (const auto [window, keep] :
       {Case{1, 0}, Case{100, 0}, Case{256, 0}, Case{257, 4}, Case{40, 4},
        Case{300, 270}}) {
    for (const KvType type : {KvType::kF32, KvType::kInt8, KvType::kInt4}) {
      if (type != KvType::kF32 && GetParam() == Layout::kArrays) continue;
      SCOPED_TRACE(std::to_string(window) + ", " + std::to_string(keep));
      const AttentionOptions o{.window = window, .keep = keep};
      const KvCache part = make(type), whole = make(type);
      int at = 0;
      for (const int n : {1, 300, 7, 1, 500, 1, 250, 1, 290, 130, 1}) {
        part.hold_only(keep, at - window, at + n);
        EXPECT_LE(worst(step(part, at, n, o), step(whole, at, n, o)), 1e-5)
            << at;
        at += n;
      }
      EXPECT_FALSE(part.holds(at - window - 513, at));
      EXPECT_TRUE(part.holds(at - window, at));
      EXPECT_EQ(part.holds(0, 1), keep != 0);
      EXPECT_EQ(numbers(part.rows(at - window, at).keys),
                numbers(whole.rows(at - window, at).keys));
      EXPECT_EQ(numbers(part.rows(0, keep).values),
                numbers(whole.rows(0, keep).values));
      EXPECT_THROW(part.rows(at - window - 513, at), InvalidInput);
    }
  }
}

// GEN-71
TEST_P(HeldPart, TakesNoMoreMemoryHoweverLongTheSequence) {
  const KvCache cache = make();
  const AttentionOptions o{.window = 300, .keep = 4};
  std::size_t most = 0;
  for (int at = 0; at + 100 <= kMost; at += 100) {
    cache.hold_only(4, at - 300, at + 100);
    step(cache, at, 100, o);
    most = std::max(most, cache.n_bytes());
  }
  // 4 and 300 + 100 positions, each in whole pages that begin anywhere; arrays
  // have a quarter more.
  const KvCache one = make();
  one.reserve(1);
  EXPECT_LE(most, (GetParam() == Layout::kPages ? 4 : 5) * one.n_bytes());
}

TEST_P(HeldPart, BeginsAnewFromThePositionsKept) {
  for (const int keep : {0, 4}) {
    const AttentionOptions o{.window = 20, .keep = keep};
    const KvCache cache = make();
    for (int at = 0; at < 900; at += 300) {
      cache.hold_only(keep, at - 20, at + 300);
      step(cache, at, 300, o);
    }
    EXPECT_THROW(step(cache, keep + 1, 1, o), InvalidInput);
    for (const int again : {keep, keep / 2}) {
      const KvCache fresh = make();
      if (again != 0) step(fresh, 0, again, o);
      for (int at = again; at < 700; at += 100) {
        cache.hold_only(keep, at - 20, at + 100);
        EXPECT_LE(worst(step(cache, at, 100, o), step(fresh, at, 100, o)), 1e-5)
            << again << " " << at;
      }
      if (keep == 0) break;
    }
  }
}

// GEN-79
TEST_P(HeldPart, ACopyIsItsOwn) {
  const AttentionOptions o{.window = 20, .keep = 4};
  const KvCache cache = make();
  step(cache, 0, 600, o);
  cache.hold_only(4, 580, 601);
  const KvCache copy = cache.copy(600);
  EXPECT_FALSE(copy.holds(100, 600));
  const auto want = step(cache, 600, 1, o);
  EXPECT_EQ(step(copy, 600, 1, o), want);
  EXPECT_EQ(step(cache, 600, 1, o), want);
}

// GEN-77
TEST_P(HeldPart, IsRestoredFromItsRows) {
  const AttentionOptions o{.window = 20, .keep = 4};
  for (const KvType type :
       {KvType::kF32, KvType::kBf16, KvType::kInt8, KvType::kInt4}) {
    const KvCache cache = make(type);
    step(cache, 0, 600, o);
    const KeyValue head = cache.rows(0, 4), tail = cache.rows(570, 600);
    const KeyValue rows = {mx::concatenate({head.keys, tail.keys}, 1),
                           mx::concatenate({head.values, tail.values}, 1)};
    const KvCache other = make(type);
    other.restore(rows, 4, 570);
    EXPECT_TRUE(other.holds(570, 600));
    EXPECT_FALSE(other.holds(569, 600));
    EXPECT_LE(worst(step(other, 600, 3, o), step(cache, 600, 3, o)), 1e-5);
    EXPECT_THROW(other.restore(rows, 5, 4), InvalidInput);
    EXPECT_THROW(other.restore(rows, 35, 600), InvalidInput);
    EXPECT_THROW(other.restore({rows.values, rows.keys}, 4, 570), InvalidInput);
  }
}

// GEN-73
TEST_P(HeldPart, RoundsFromWhereItIsToldTo) {
  struct Case {
    KvType type;
    int from;
    KvType then;
  };
  for (const auto [type, from, then] : {Case{KvType::kF32, 0, KvType::kInt8},
                                        {KvType::kF32, 1, KvType::kInt8},
                                        {KvType::kF32, 300, KvType::kInt8},
                                        {KvType::kF32, 0, KvType::kInt4},
                                        {KvType::kF32, 256, KvType::kInt4},
                                        {KvType::kF32, 257, KvType::kInt4},
                                        {KvType::kInt8, 256, KvType::kInt4}}) {
    SCOPED_TRACE(std::to_string(from) + " " +
                 std::to_string(static_cast<int>(then)));
    const KvCache mixed = make(type, from, then), exact = make(type);
    const KvCache rounded = make(then);
    EXPECT_EQ(mixed.quantize_from(), (from + 255) / 256 * 256);
    for (const KvCache& c : {mixed, exact, rounded}) {
      step(c, 0, 200, {});
      step(c, 200, 600, {});
    }
    const int edge = mixed.quantize_from();
    EXPECT_EQ(numbers(mixed.rows(0, edge).keys),
              numbers(exact.rows(0, edge).keys));
    EXPECT_EQ(numbers(mixed.rows(edge, 800).keys),
              numbers(rounded.rows(edge, 800).keys));
    EXPECT_EQ(numbers(mixed.rows(edge, 800).values),
              numbers(rounded.rows(edge, 800).values));
    const KvCache other =
        make(type, from, then,
             GetParam() == Layout::kPages ? Layout::kArrays : Layout::kPages);
    step(other, 0, 800, {});
    EXPECT_LE(worst(step(mixed, 800, 50, {}), step(other, 800, 50, {})), 1e-5);
  }
}

void expect_never_expanded(KvType type, std::size_t times_smaller) {
  constexpr int kLength = 1 << 16;
  constexpr std::size_t kExpanded = std::size_t{kLength} * 2 * 128 * 4;
  const KvCache cache(KvType::kF32, 2, 64, 64, Layout::kPages, 0, type);
  const auto x = [](int n, int heads) {
    return mx::full({n, heads, 64}, 0.5f);
  };
  const int half = kLength / 2;
  for (const int at : {0, half}) {
    append_and_attend(x(half, 2), x(half, 2), x(half, 2), {{0, half, at}},
                      {cache}, {.window = 1})
        .eval();
  }
  EXPECT_LT(cache.n_bytes(), kExpanded / times_smaller);
  mx::clear_cache();
  const test::PeakMemory peak;
  for (int i = 0; i < 3; ++i) {
    const auto out = numbers(append_and_attend(
        x(1, 2), x(1, 2), x(1, 2), {{0, 1, kLength + i}}, {cache}, {}));
    EXPECT_NEAR(out[0], 0.5f, 1e-5);
  }
  if (!peak.more()) GTEST_SKIP() << "memory is not counted anew";
  EXPECT_LT(*peak.more(), kExpanded / 8);
}

// GEN-73
TEST(KvCacheMemory, AStepOverInt8DoesNotExpandTheCache) {
  expect_never_expanded(KvType::kInt8, 3);
}

// GEN-73
TEST(KvCacheMemory, AStepOverInt4DoesNotExpandTheCache) {
  expect_never_expanded(KvType::kInt4, 5);
}

// COMP-24: eight query heads read one key head where it lies.
TEST(KvCacheMemory, AStepRepeatsNoHeads) {
  constexpr int kLength = 1 << 14;
  constexpr std::size_t kRepeated = std::size_t{kLength} * 16 * 128 * 4;
  const KvCache cache(KvType::kF32, 2, 64, 64, Layout::kPages);
  const auto step = [&](int at, int n, const AttentionOptions& o) {
    const auto x = [n](int heads) { return mx::full({n, heads, 64}, 0.5f); };
    return numbers(
        append_and_attend(x(16), x(2), x(2), {{0, n, at}}, {cache}, o))[0];
  };
  step(0, kLength, {.window = 1});
  EXPECT_EQ(cache.n_bytes(), kRepeated / 8);
  for (const int n : {1, 64}) {
    mx::clear_cache();
    const test::PeakMemory peak;
    EXPECT_NEAR(step(kLength - n, n, {}), 0.5f, 1e-5);
    if (!peak.more()) GTEST_SKIP() << "memory is not counted anew";
    EXPECT_LT(*peak.more(), kRepeated / 16) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, HeldPart,
                         testing::Values(Layout::kPages, Layout::kArrays),
                         [](const auto& info) {
                           return info.param == Layout::kPages ? "Pages"
                                                               : "Arrays";
                         });

}  // namespace
}  // namespace skua
