#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/attention.h"
#include "kernels/kv_cache.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;
using Layout = KvCache::Layout;
using Floats = std::vector<float>;

// By definition `held` has, for each 32 numbers of a row of x, the nearest of
// 16 levels from the least to the largest. How far it is from that; of two
// levels that are as near, either will do.
double worst_level(const Floats& x, const Floats& held, std::size_t dim) {
  double most = x.size() == held.size() ? 0 : INFINITY;
  for (std::size_t row = 0; row < x.size(); row += dim) {
    for (std::size_t at = row; at < row + dim; at += 32) {
      const std::size_t end = std::min(at + 32, row + dim);
      const auto [low, high] = std::minmax_element(&x[at], &x[0] + end);
      const double least = *low, step = (double{*high} - least) / 15;
      for (std::size_t i = at; i < end; ++i) {
        const double level =
            step == 0 ? 0 : std::round((held[i] - least) / step);
        most = std::max({most, std::abs(held[i] - (least + level * step)),
                         std::abs(x[i] - held[i]) - step / 2});
        if (level < 0 || level > 15 || std::isnan(held[i])) most = INFINITY;
      }
    }
  }
  return most;
}

// [heads, n, d] from rows [n, heads, d]
Floats by_head(const mx::array& rows) {
  return numbers(mx::transpose(rows, {1, 0, 2}));
}

struct Rows {
  Rows(int n, int heads, int key_dim, int value_dim, std::uint64_t seed = 1,
       float shift = 0)
      : q(normal({n, heads, key_dim}, seed)),
        k(mx::add(normal({n, heads, key_dim}, seed + 1, 2), mx::array(shift))),
        v(normal({n, heads, value_dim}, seed + 2)) {}

  // Writes rows [first, first + n) to positions from `at`.
  Floats write(const KvCache& cache, int first, int n, int at,
               const AttentionOptions& o = {.window = 1}) const {
    const auto some = [&](const mx::array& x) {
      return mx::slice(x, {first, 0, 0}, {first + n, x.shape(1), x.shape(2)});
    };
    return numbers(
        append_and_attend(some(q), some(k), some(v), {{0, n, at}}, {cache}, o));
  }

  mx::array q, k, v;
};

class Int4Pages : public testing::TestWithParam<int> {};

// GEN-73
TEST_P(Int4Pages, HoldTheNearestOf16LevelsOfEach32Numbers) {
  const int d = GetParam(), value_dim = d + 5;
  for (const float shift : {0.0f, -30.0f, 500.0f}) {
    for (const int n : {1, 15, 255, 256, 257, 300}) {
      SCOPED_TRACE(std::to_string(n) + " rows, shifted by " +
                   std::to_string(shift));
      const Rows rows(n, 3, d, value_dim, 1, shift);
      const KvCache cache(KvType::kInt4, 3, d, value_dim, Layout::kPages);
      rows.write(cache, 0, n, 0);
      const KeyValue held = cache.rows(n);
      const double most = std::abs(shift) + 10;
      EXPECT_LE(worst_level(by_head(rows.k), numbers(held.keys),
                            static_cast<std::size_t>(d)),
                1e-6 * most);
      EXPECT_LE(worst_level(by_head(rows.v), numbers(held.values),
                            static_cast<std::size_t>(value_dim)),
                1e-6 * most);
    }
  }
}

// GEN-70: two positions share a byte.
TEST_P(Int4Pages, ARowWrittenAnewLeavesItsNeighbours) {
  const int d = GetParam();
  const Rows rows(300, 2, d, d), other(300, 2, d, d, 40);
  for (const int at : {0, 5, 8, 15, 250, 256, 290}) {
    SCOPED_TRACE(at);
    const KvCache cache(KvType::kInt4, 2, d, d, Layout::kPages);
    const KvCache fresh(KvType::kInt4, 2, d, d, Layout::kPages);
    rows.write(cache, 0, 300, 0);
    const KeyValue before = cache.rows(300);
    other.write(cache, at, 9, at);
    other.write(fresh, 0, 300, 0);
    for (const auto& [from, to, want] : {std::tuple(0, at, before),
                                         {at, at + 9, fresh.rows(300)},
                                         {at + 9, 300, before}}) {
      const auto part = [&, from = from, to = to](const mx::array& x) {
        return numbers(mx::slice(x, {0, from, 0}, {2, to, d}));
      };
      EXPECT_EQ(part(cache.rows(300).keys), part(want.keys));
      EXPECT_EQ(part(cache.rows(300).values), part(want.values));
    }
  }
}

// GEN-79, GEN-77
TEST_P(Int4Pages, AreCopiedAndRestored) {
  const int d = GetParam();
  const Rows rows(330, 2, d, d), more(3, 2, d, d, 50);
  for (const int n : {1, 255, 256, 257, 320}) {
    const KvCache cache(KvType::kInt4, 2, d, d, Layout::kPages);
    rows.write(cache, 0, n, 0);
    const KvCache copy = cache.copy(n);
    const KvCache restored(KvType::kInt4, 2, d, d, Layout::kPages);
    restored.restore(cache.rows(n), 0, 0);
    EXPECT_LE(
        worst(numbers(restored.rows(n).keys), numbers(cache.rows(n).keys)),
        1e-5);
    const auto want = more.write(cache, 0, 3, n, {});
    EXPECT_EQ(more.write(copy, 0, 3, n, {}), want) << n;
    EXPECT_LE(worst(more.write(restored, 0, 3, n, {}), want), 1e-5) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(HeadSizes, Int4Pages,
                         testing::Values(1, 8, 13, 32, 40, 64, 72, 128, 200),
                         testing::PrintToStringParamName());

TEST(Int4Cache, RowsWithoutASpreadAreExactAndThoseThatAreNoNumbersStayApart) {
  const KvCache cache(KvType::kInt4, 1, 8, 8, Layout::kPages);
  const auto x = [](float value) { return mx::full({1, 1, 8}, value); };
  const float values[] = {0.0f, -2.5f, 1e-38f, 3e38f};
  for (int i = 0; i < 4; ++i) {
    append_and_attend(x(1), x(values[i]), x(values[i]), {{0, 1, i}}, {cache},
                      {})
        .eval();
  }
  for (int i = 0; i < 4; ++i) {
    const KeyValue held = cache.rows(i, i + 1);
    EXPECT_EQ(numbers(held.keys), Floats(8, values[i]));
    EXPECT_EQ(numbers(held.values), Floats(8, values[i]));
  }
  const KvCache other(KvType::kInt4, 1, 8, 8, Layout::kPages);
  const Rows rows(20, 1, 8, 8);
  const auto want = rows.write(other, 0, 10, 0, {});
  append_and_attend(x(1), x(1), x(NAN), {{0, 1, 10}}, {other}, {}).eval();
  append_and_attend(x(1), x(INFINITY), x(-INFINITY), {{0, 1, 11}}, {other}, {})
      .eval();
  // Rows before them, and those that do not see them.
  const KvCache clean(KvType::kInt4, 1, 8, 8, Layout::kPages);
  rows.write(clean, 0, 10, 0, {});
  EXPECT_EQ(numbers(other.rows(0, 10).keys), numbers(clean.rows(0, 10).keys));
  EXPECT_EQ(rows.write(other, 12, 4, 12, {.window = 1}),
            rows.write(clean, 12, 4, 12, {.window = 1}));
}

// GEN-73
TEST(Int4Cache, OtherTypesToQuantizeToAreRefused) {
  for (const KvType type : {KvType::kF32, KvType::kBf16, KvType::kF16})
    EXPECT_THROW(KvCache(KvType::kF32, 1, 8, 8, Layout::kPages, 0, type),
                 InvalidInput);
  const Rows rows(4, 1, 8, 8);
  const KvCache one(KvType::kF32, 1, 8, 8, Layout::kPages, 0, KvType::kInt4);
  const KvCache two(KvType::kF32, 1, 8, 8, Layout::kPages, 0, KvType::kInt8);
  EXPECT_THROW(append_and_attend(rows.q, rows.k, rows.v, {{0, 2, 0}, {2, 2, 0}},
                                 {one, two}, {}),
               InvalidInput);
}

}  // namespace
}  // namespace skua
