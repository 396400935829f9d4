#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "nn/cache.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;

constexpr int kHeads = 2, kDim = 8, kMost = 2600;

mx::array rows(int seed, int first, int n) {
  const mx::array all =
      normal({kMost, kHeads, kDim}, static_cast<std::uint64_t>(seed));
  return mx::slice(all, {first, 0, 0}, {first + n, kHeads, kDim});
}

// One step of every layer; returns what the last gives.
std::vector<float> feed(Cache& cache, int sequence, int n,
                        const std::vector<int>& windows, int seed = 1) {
  Batch batch;
  const int at = cache.length(sequence);
  batch.add(sequence, at, n);
  cache.check(batch);
  const mx::array x = rows(seed, at, n);
  std::vector<float> out;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    AttentionOptions o;
    o.window = windows[i];
    out = numbers(cache.layer(static_cast<int>(i)).attend(x, x, x, batch, o));
  }
  cache.advance(batch);
  return out;
}

// The same of a cache that holds all, with a mask by the rule: column j of
// row p where j <= p and (p - j < window or j < keep).
std::vector<float> masked(Cache& cache, int sequence, int n, int window,
                          int keep) {
  Batch batch;
  const int at = cache.length(sequence);
  batch.add(sequence, at, n);
  std::vector<float> mask;
  for (int p = at; p < at + n; ++p) {
    for (int j = 0; j < at + n; ++j)
      mask.push_back(p - j < window || j < keep ? 0.0f : -INFINITY);
  }
  AttentionOptions o;
  o.mask = mx::array(mask.begin(), {n, at + n});
  const mx::array x = rows(1, at, n);
  const auto out = numbers(cache.layer(0).attend(x, x, x, batch, o));
  cache.advance(batch);
  return out;
}

std::size_t page_bytes(KvType type = KvType::kF32) {
  Cache cache(1, type);
  feed(cache, cache.add_sequence(), 1, {0});
  return cache.n_bytes();
}

// GEN-74, COMP-09
TEST(WindowCache, APositionSeesExactlyTheLastOnes) {
  for (const int window : {1, 2, 100, 255, 256, 257, 400}) {
    Cache cache(1), all(1);
    const int s = cache.add_sequence(), t = all.add_sequence();
    for (const int n : {1, 99, 1, 1, 154, 1, 1, 270, 288, 1, 300, 1, 1}) {
      EXPECT_LE(
          worst(feed(cache, s, n, {window}), masked(all, t, n, window, 0)),
          1e-5)
          << window << " at " << cache.length(s);
    }
  }
}

// GEN-74
TEST(WindowCache, HoldsTheWindowAndAChunkAtMost) {
  const std::size_t page = page_bytes();
  Cache cache(2);
  const int s = cache.add_sequence();
  for (int i = 0; i < 20; ++i) {
    feed(cache, s, 100, {300, 0});
    const auto n = static_cast<std::size_t>(cache.length(s));
    // 300 + 100 positions that may begin anywhere in a page.
    const std::size_t windowed = cache.layer(0).n_bytes();
    EXPECT_LE(windowed, 3 * page);
    EXPECT_EQ(cache.layer(1).n_bytes(), (n + 255) / 256 * page);
  }
  cache.trim(s, 0);
  feed(cache, s, 10, {300, 0});
  EXPECT_EQ(cache.layer(0).n_bytes(), page);
}

// GEN-72, GEN-74
TEST(WindowCache, TrimsAsFarAsItsWindowIsThere) {
  constexpr int kWindow = 300;
  Cache cache(1);
  const int s = cache.add_sequence();
  for (int i = 0; i < 6; ++i) feed(cache, s, 288, {kWindow});
  const int length = cache.length(s);
  int floor = length;
  while (floor > 0 && cache.can_trim(s, floor - 1)) --floor;
  EXPECT_LE(floor, length - 288) << "a step can be undone";
  ASSERT_GT(floor, 0);
  SKUA_EXPECT_ERROR(cache.trim(s, floor - 1), InvalidInput,
                    "cannot be trimmed to " + std::to_string(floor - 1) +
                        ": layer 0 sees the last 300 of them and has given "
                        "up older ones");
  EXPECT_EQ(cache.length(s), length);
  EXPECT_FALSE(cache.can_trim(s, 1));
  EXPECT_FALSE(cache.can_trim(s, length + 1));
  EXPECT_FALSE(cache.can_trim(s, -1));
  for (const int kept : {length - 100, floor, 0}) {
    const int copy = cache.fork(s);
    cache.trim(copy, kept);
    Cache fresh(1);
    const int f = fresh.add_sequence();
    for (int at = 0; at < kept; at += 97)
      feed(fresh, f, std::min(97, kept - at), {kWindow});
    for (const int n : {1, 3, 260}) {
      EXPECT_EQ(feed(cache, copy, n, {kWindow}, 5),
                feed(fresh, f, n, {kWindow}, 5))
          << kept;
    }
  }
}

// GEN-74
TEST(WindowCache, CanAlwaysUndoItsNewestStep) {
  constexpr int kWindow = 300;
  for (int at = 550; at <= 562; ++at) {
    Cache cache(1), fresh(1);
    const int s = cache.add_sequence(), f = fresh.add_sequence();
    feed(cache, s, at, {kWindow});
    feed(fresh, f, at, {kWindow});
    feed(cache, s, 290, {kWindow}, 5);
    ASSERT_TRUE(cache.can_trim(s, at)) << at;
    cache.trim(s, at);
    EXPECT_EQ(feed(cache, s, 2, {kWindow}), feed(fresh, f, 2, {kWindow}));
  }
}

// GEN-76
TEST(WindowCache, ATrimOfManyLayersIsAllOrNothing) {
  Cache cache(3), same(3);
  const int s = cache.add_sequence(), t = same.add_sequence();
  const std::vector<int> windows = {0, 20, 0};
  for (int i = 0; i < 3; ++i) {
    feed(cache, s, 300, windows);
    feed(same, t, 300, windows);
  }
  SKUA_EXPECT_ERROR(cache.trim(s, 300), InvalidInput, "layer 1");
  EXPECT_EQ(cache.length(s), 900);
  EXPECT_EQ(feed(cache, s, 2, windows), feed(same, t, 2, windows));
  EXPECT_NO_THROW(cache.trim(s, 901));
}

// A step that runs still has the memory that the next gives up.
TEST(WindowCache, MayGiveUpWhatAPendingStepReads) {
  Cache cache(1), other(1);
  const int s = cache.add_sequence(), t = other.add_sequence();
  std::vector<mx::array> outs;
  for (int at = 0; at < 1800; at += 300) {
    Batch batch;
    batch.add(s, at, 300);
    const mx::array x = rows(1, at, 300);
    AttentionOptions o;
    o.window = 50;
    outs.push_back(cache.layer(0).attend(x, x, x, batch, o));
    cache.advance(batch);
  }
  cache.remove(s);
  mx::eval(outs);
  for (const mx::array& out : outs)
    EXPECT_EQ(numbers(out), feed(other, t, 300, {50}));
}

// GEN-71, COMP-09
TEST(RotatingCache, EqualsMaskedAttentionPastTwoWraps) {
  struct Case {
    int max_size, keep;
  };
  for (const auto [max_size, keep] :
       {Case{8, 4}, Case{64, 0}, Case{300, 4}, Case{320, 270}}) {
    for (const KvType type : {KvType::kF32, KvType::kInt8, KvType::kInt4}) {
      Cache cache(1, {.kv_type = type, .max_size = max_size, .keep = keep});
      Cache all(1, type);
      const int s = cache.add_sequence(), t = all.add_sequence();
      for (const int n : {3, 1, 5, 280, 1, 1, 288, 100, 1, 290, 1, 1, 40}) {
        EXPECT_LE(worst(feed(cache, s, n, {0}),
                        masked(all, t, n, max_size - keep, keep)),
                  1e-5)
            << max_size << ", " << keep << " at " << cache.length(s);
      }
      EXPECT_EQ(cache.length(s), all.length(t));
    }
  }
}

// GEN-71
TEST(RotatingCache, ItsMemoryIsBounded) {
  for (const KvType type : {KvType::kBf16, KvType::kInt8, KvType::kInt4}) {
    Cache cache(1, {.kv_type = type, .max_size = 512});
    const int s = cache.add_sequence();
    for (int i = 0; i < 25; ++i) {
      feed(cache, s, 100, {0});
      // 4, and 508 + 100 that may begin anywhere.
      EXPECT_LE(cache.n_bytes(), (1 + 4) * page_bytes(type));
    }
  }
}

// GEN-72
TEST(RotatingCache, RefusesToTrimToWhatItHasGivenUp) {
  Cache cache(1, {.max_size = 64});
  const int s = cache.add_sequence();
  feed(cache, s, 60, {0});
  cache.trim(s, 30);
  for (int i = 0; i < 9; ++i) feed(cache, s, 100, {0});
  SKUA_EXPECT_ERROR(cache.trim(s, 400), InvalidInput,
                    "sequence 0 of 930 tokens cannot be trimmed to 400: layer "
                    "0 sees the first 4 and the last 60 of them and has given "
                    "up older ones");
  EXPECT_EQ(cache.length(s), 930);
  EXPECT_TRUE(cache.can_trim(s, 830)) << "a step can be undone";
  EXPECT_TRUE(cache.can_trim(s, 4)) << "what is kept is there";
  EXPECT_FALSE(cache.can_trim(s, 5));
}

// GEN-79
TEST(RotatingCache, ForksDoNotDisturbEachOther) {
  const CacheOptions options{.max_size = 40};
  Cache cache(1, options), mine(1, options), theirs(1, options);
  const int a = cache.add_sequence();
  const int m = mine.add_sequence(), t = theirs.add_sequence();
  feed(cache, a, 700, {0});
  feed(mine, m, 700, {0});
  feed(theirs, t, 700, {0});
  const int b = cache.fork(a);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(feed(cache, a, 90, {0}, 4), feed(mine, m, 90, {0}, 4)) << i;
    EXPECT_EQ(feed(cache, b, 70, {0}, 5), feed(theirs, t, 70, {0}, 5)) << i;
  }
}

TEST(RotatingCache, ALayersOwnSmallerWindowStays) {
  Cache cache(1, {.max_size = 64}), plain(1);
  const int s = cache.add_sequence(), t = plain.add_sequence();
  for (const int n : {100, 1, 200, 1})
    EXPECT_EQ(feed(cache, s, n, {50}), feed(plain, t, n, {50}));
  EXPECT_EQ(cache.layer(0).keep(), 0);
  Cache wide(1, {.max_size = 64}), narrow(1, {.max_size = 64});
  const int w = wide.add_sequence(), x = narrow.add_sequence();
  for (const int n : {100, 1, 200, 1})
    EXPECT_EQ(feed(wide, w, n, {65}), feed(narrow, x, n, {0}));
}

TEST(CacheOptions, AreChecked) {
  SKUA_EXPECT_ERROR(Cache(1, {.max_size = 4}), InvalidInput,
                    "tokens kept of 4 are 4");
  EXPECT_THROW(Cache(1, {.max_size = 4, .keep = -1}), InvalidInput);
  EXPECT_THROW(Cache(1, {.max_size = -1}), InvalidInput);
  EXPECT_THROW(Cache(1, {.quantize_from = -1}), InvalidInput);
  SKUA_EXPECT_ERROR(Cache(1, {.quantized_type = KvType::kBf16}), InvalidInput,
                    "neither int8 nor int4");
  EXPECT_NO_THROW(Cache(1, {.max_size = 5}));
  EXPECT_NO_THROW(Cache(1, {.keep = -3}));
}

// GEN-73
TEST(QuantizedCache, HoldsInt8OrInt4FromItsStartOn) {
  for (const KvType type : {KvType::kInt8, KvType::kInt4}) {
    Cache cache(1, {.quantize_from = 300, .quantized_type = type});
    const int s = cache.add_sequence();
    const std::size_t exact = page_bytes(), rounded = page_bytes(type);
    for (int n = 1; n <= 8; ++n) {
      feed(cache, s, 256, {0});
      const auto pages = static_cast<std::size_t>(n);
      EXPECT_EQ(cache.n_bytes(),
                std::min<std::size_t>(pages, 2) * exact +
                    (pages - std::min<std::size_t>(pages, 2)) * rounded);
    }
  }
}

}  // namespace
}  // namespace skua
