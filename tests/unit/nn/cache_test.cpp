#include "nn/cache.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;

constexpr int kHeads = 2, kDim = 8;

// Rows that a sequence has at its positions: row i of sequence `seed`.
mx::array rows(int seed, int first, int n) {
  const mx::array all =
      normal({1200, kHeads, kDim}, static_cast<std::uint64_t>(seed));
  return mx::slice(all, {first, 0, 0}, {first + n, kHeads, kDim});
}

std::vector<float> feed(Cache& cache, int sequence, int seed, int n) {
  Batch batch;
  const int at = cache.length(sequence);
  batch.add(sequence, at, n);
  cache.check(batch);
  const mx::array x = rows(seed, at, n);
  const auto out = numbers(cache.layer(0).attend(x, x, x, batch, {}));
  cache.advance(batch);
  return out;
}

std::vector<float> fresh(int seed, int n) {
  Cache cache(1);
  const auto out = feed(cache, cache.add_sequence(), seed, n);
  return {out.end() - kHeads * kDim, out.end()};
}

std::vector<float> last(const std::vector<float>& out) {
  return {out.end() - kHeads * kDim, out.end()};
}

// GEN-70
TEST(Cache, GrowsAcrossSlabsAndKeepsWhatItHolds) {
  Cache cache(1);
  const int s = cache.add_sequence();
  for (const int n : {250, 5, 1, 1, 300, 1, 210, 1}) {
    const auto out = feed(cache, s, 1, n);
    EXPECT_EQ(last(out), fresh(1, cache.length(s))) << cache.length(s);
  }
}

// COMP-08
TEST(Cache, ItsSizeGrowsBy256Positions) {
  Cache cache(1);
  const int s = cache.add_sequence();
  EXPECT_EQ(cache.n_bytes(), 0u);
  // Values fill strips of 16.
  const std::size_t slab = 256 * kHeads * (kDim + 16) * sizeof(float);
  for (const int n : {1, 255, 1, 255, 1}) {
    feed(cache, s, 1, n);
    const auto slabs = static_cast<std::size_t>((cache.length(s) + 255) / 256);
    EXPECT_EQ(cache.n_bytes(), slabs * slab) << cache.length(s);
  }
  cache.remove(s);
  EXPECT_EQ(cache.n_bytes(), 0u);
}

// COMP-08
TEST(Cache, ItsBytesAreThoseOfItsType) {
  const auto bytes = [](KvType type) {
    Cache cache(1, type);
    feed(cache, cache.add_sequence(), 1, 257);
    return cache.n_bytes();
  };
  // Two pages for 2 heads of 8 numbers; values fill strips of 16.
  const std::size_t numbers = 2 * 256 * kHeads * (kDim + 16);
  EXPECT_EQ(bytes(KvType::kF32), 4 * numbers);
  EXPECT_EQ(bytes(KvType::kBf16), 2 * numbers);
  EXPECT_EQ(bytes(KvType::kF16), 2 * numbers);
  EXPECT_EQ(bytes(KvType::kInt8), numbers + 2 * 256 * kHeads * 2 * 4);
  EXPECT_EQ(bytes(KvType::kInt4), numbers / 2 + 2 * 256 * kHeads * 4 * 4);
}

// COMP-08
TEST(Cache, GrowingMovesNothing) {
  KvCache cache(KvType::kBf16, kHeads, kDim, kDim);
  cache.reserve(1);
  const std::byte* first = cache.state().pages[0]->data();
  EXPECT_EQ(cache.capacity(), 256);
  cache.reserve(5000);
  EXPECT_EQ(cache.state().pages[0]->data(), first);
  EXPECT_EQ(cache.capacity(), 5120);
  EXPECT_EQ(cache.state().pages.size(), 20u);
}

// GEN-70
TEST(Cache, TrimThenContinueEqualsFreshForLengthsAround256) {
  std::vector<int> lengths = {0, 1, 2, 3, 127, 128, 511, 512, 513};
  for (int kept = 240; kept <= 272; ++kept) lengths.push_back(kept);
  for (const int kept : lengths) {
    Cache cache(1);
    const int s = cache.add_sequence();
    feed(cache, s, 2, 515);
    cache.trim(s, kept);
    EXPECT_EQ(cache.length(s), kept);
    Cache prefix(1);
    const int p = prefix.add_sequence();
    if (kept != 0) feed(prefix, p, 2, kept);
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(feed(cache, s, 3, 1), feed(prefix, p, 3, 1)) << kept;
  }
}

// COMP-09
TEST(Cache, RowsPastTheLengthAreNeverSeen) {
  Cache exact(1);
  const int e = exact.add_sequence();
  for (int past = 1; past <= 258; ++past) {
    feed(exact, e, 1, 1);
    Cache cache(1);
    const int s = cache.add_sequence();
    feed(cache, s, 1, past);
    Batch batch;
    batch.add(s, past, 300);
    const mx::array none = mx::full({300, kHeads, kDim}, NAN);
    mx::eval(cache.layer(0).attend(none, none, none, batch, {}));
    cache.advance(batch);
    cache.trim(s, past);
    const int copy = exact.fork(e);
    EXPECT_EQ(feed(cache, s, 2, 1), feed(exact, copy, 2, 1)) << past;
    exact.remove(copy);
  }
}

// GEN-79
TEST(Cache, ForkAndOriginalDoNotDisturbEachOther) {
  Cache cache(1), mine(1), theirs(1);
  const int a = cache.add_sequence();
  feed(cache, a, 1, 20);
  const int b = cache.fork(a);
  EXPECT_EQ(cache.length(b), 20);
  const int m = mine.add_sequence(), t = theirs.add_sequence();
  feed(mine, m, 1, 20);
  feed(theirs, t, 1, 20);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(feed(cache, a, 4, 1), feed(mine, m, 4, 1)) << i;
    EXPECT_EQ(feed(cache, b, 5, 1), feed(theirs, t, 5, 1)) << i;
  }
}

TEST(Cache, RemovingASequenceLeavesTheOthers) {
  Cache cache(1);
  const int a = cache.add_sequence(), b = cache.add_sequence();
  EXPECT_NE(a, b);
  feed(cache, a, 1, 5);
  feed(cache, b, 2, 5);
  cache.remove(a);
  SKUA_EXPECT_ERROR(cache.length(a), InvalidInput, "there is no sequence 0");
  EXPECT_EQ(feed(cache, b, 2, 1), fresh(2, 6));
  const int c = cache.add_sequence();
  EXPECT_NE(c, a);
  EXPECT_EQ(last(feed(cache, c, 1, 5)), fresh(1, 5));
}

TEST(Cache, RefusesStepsThatDoNotContinueItsSequences) {
  Cache cache(1);
  const int s = cache.add_sequence();
  feed(cache, s, 1, 5);
  const auto step = [](int sequence, int position, int n_rows) {
    Batch batch;
    batch.add(sequence, position, n_rows);
    return batch;
  };
  EXPECT_NO_THROW(cache.check(step(s, 5, 1)));
  SKUA_EXPECT_ERROR(cache.check(step(s, 4, 1)), InvalidInput,
                    "[batch] sequence 0 gets 1 rows at position 4, expected "
                    "at least one at 5");
  EXPECT_THROW(cache.check(step(s, 6, 1)), InvalidInput);
  EXPECT_THROW(cache.check(step(s, 5, 0)), InvalidInput);
  EXPECT_THROW(cache.check(step(s, 5, -1)), InvalidInput);
  EXPECT_THROW(cache.check(step(s + 1, 0, 1)), InvalidInput);
  Batch twice = step(s, 5, 1);
  twice.add(s, 6, 1);
  SKUA_EXPECT_ERROR(cache.check(twice), InvalidInput, "comes twice");
}

TEST(Cache, RefusesToTrimToWhatItDoesNotHold) {
  Cache cache(1);
  const int s = cache.add_sequence();
  feed(cache, s, 1, 5);
  SKUA_EXPECT_ERROR(cache.trim(s, 6), InvalidInput,
                    "length to keep is 6, expected 0 to 5");
  EXPECT_THROW(cache.trim(s, -1), InvalidInput);
  EXPECT_THROW(cache.trim(s + 1, 0), InvalidInput);
  EXPECT_EQ(cache.length(s), 5);
  EXPECT_THROW(cache.fork(s + 1), InvalidInput);
}

}  // namespace
}  // namespace skua
