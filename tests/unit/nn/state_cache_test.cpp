#include "nn/state_cache.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "nn/cache.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::numbers;

// Layers whose state is the sum of what was fed, and what was fed last.
class Sums {
 public:
  explicit Sums(int n_layers = 1) : cache(n_layers) {}

  // Takes the rows `x`, the last n_drafted of them drafted.
  void feed(int sequence, const std::vector<float>& x, int n_drafted = 0) {
    Batch batch;
    batch.add(sequence, cache.length(sequence), static_cast<int>(x.size()));
    batch.segments[0].n_drafted = n_drafted;
    cache.check(batch);
    cache.begin(batch);
    for (int i = 0; i < cache.n_layers(); ++i) take(i, batch.segments[0], x);
    cache.advance(batch);
  }

  void take(int layer, const Segment& s, const std::vector<float>& x) {
    StateCache& states = cache.layer(layer).states();
    const auto before = states.get(s.sequence, s.position, 0);
    for (const int n : s.ends()) {
      float sum = before ? numbers(*before)[0] : 0;
      for (int i = 0; i < n; ++i) sum += x[static_cast<std::size_t>(i)];
      const float last = x[static_cast<std::size_t>(n) - 1];
      states.set(s.sequence, s.position + n, 0, mx::array({sum}));
      states.set(s.sequence, s.position + n, 1, mx::array({last, last}));
    }
  }

  float sum(int sequence, int layer = 0) {
    const auto state =
        cache.layer(layer).states().get(sequence, cache.length(sequence), 0);
    return state ? numbers(*state)[0] : 0;
  }

  Cache cache;
};

// GEN-75
TEST(StateCache, GoesBackToWhereTheNewestStepBeganAndContinues) {
  Sums sums;
  const int s = sums.cache.add_sequence();
  sums.feed(s, {1, 2, 4});
  sums.feed(s, {8, 16});
  EXPECT_EQ(sums.sum(s), 31);
  EXPECT_TRUE(sums.cache.can_trim(s, 3));
  EXPECT_FALSE(sums.cache.can_trim(s, 4));
  EXPECT_EQ(sums.cache.trim_point(s, 5), 5);
  EXPECT_EQ(sums.cache.trim_point(s, 4), 3);
  EXPECT_EQ(sums.cache.trim_point(s, 2), 0);
  sums.cache.trim(s, 3);
  EXPECT_EQ(sums.sum(s), 7);
  sums.feed(s, {32});
  EXPECT_EQ(sums.sum(s), 39);
  sums.cache.trim(s, 0);
  EXPECT_EQ(sums.sum(s), 0);
  sums.feed(s, {5});
  EXPECT_EQ(sums.sum(s), 5);
}

// GEN-75, SPEC-08
TEST(StateCache, GoesBackToWhereDraftedRowsBegin) {
  Sums sums;
  const int s = sums.cache.add_sequence();
  sums.feed(s, {1, 2});
  sums.feed(s, {4, 8, 16, 32, 64}, 3);
  EXPECT_EQ(sums.sum(s), 127);
  for (const int length : {4, 5, 6})
    EXPECT_EQ(sums.cache.trim_point(s, length), 4);
  EXPECT_EQ(sums.cache.trim_point(s, 3), 2);
  sums.cache.trim(s, 4);
  EXPECT_EQ(sums.sum(s), 15);
  sums.feed(s, {16, 100}, 1);
  EXPECT_EQ(sums.cache.trim_point(s, 5), 5);
  sums.cache.trim(s, 5);
  EXPECT_EQ(sums.sum(s), 31);
}

// GEN-75
TEST(StateCache, KeepsTheTwoNewestMarkedPlaces) {
  Sums sums;
  const int s = sums.cache.add_sequence();
  std::vector<float> expected = {0};
  for (int i = 1; i <= 30; ++i) {
    sums.feed(s, {static_cast<float>(i)});
    expected.push_back(expected.back() + static_cast<float>(i));
    if (i % 7 == 0) sums.cache.mark(s, i);
  }
  for (const auto& [from, to] :
       {std::pair(30, 30), {29, 29}, {28, 28}, {27, 21}, {21, 21}, {20, 0}})
    EXPECT_EQ(sums.cache.trim_point(s, from), to);
  sums.cache.mark(s, 25);  // which is not there
  sums.cache.trim(s, 21);
  EXPECT_EQ(sums.sum(s), expected[21]);
  sums.feed(s, {1});
  EXPECT_EQ(sums.sum(s), expected[21] + 1);
  EXPECT_EQ(sums.cache.trim_point(s, 21), 21) << "no more than one of them";
}

// GEN-75, GEN-76
TEST(StateCache, ATrimThatALayerCannotTakeChangesNothingAndNamesIt) {
  Cache cache(2);
  const int s = cache.add_sequence();
  const auto step = [&](int n) {
    Batch batch;
    batch.add(s, cache.length(s), n);
    cache.begin(batch);
    const mx::array x = mx::ones({n, 1, 8});
    cache.layer(0).attend(x, x, x, batch, {}).eval();
    cache.layer(1).states().set(s, cache.length(s) + n, 0, mx::array({1.0f}));
    cache.advance(batch);
  };
  step(4);
  step(3);
  SKUA_EXPECT_ERROR(cache.trim(s, 6), InvalidInput,
                    "of 7 tokens cannot be trimmed to 6: layer 1 holds states "
                    "after 4, 7 of them alone");
  EXPECT_EQ(cache.length(s), 7);
  EXPECT_EQ(cache.trim_point(s, 6), 4);
  cache.trim(s, 4);
  EXPECT_EQ(cache.length(s), 4);
  EXPECT_THROW(cache.trim_point(s, 5), InvalidInput);
}

// GEN-75, GEN-79
TEST(StateCache, ForksGoTheirOwnWays) {
  Sums sums;
  const int a = sums.cache.add_sequence();
  sums.feed(a, {1, 2});
  sums.feed(a, {4});
  const int b = sums.cache.fork(a);
  sums.feed(a, {8});
  sums.feed(b, {16, 32});
  EXPECT_EQ(sums.sum(a), 15);
  EXPECT_EQ(sums.sum(b), 55);
  sums.cache.remove(a);
  EXPECT_EQ(sums.cache.trim_point(b, 4), 3);
  sums.cache.trim(b, 3);
  EXPECT_EQ(sums.sum(b), 7);
}

// GEN-75, GEN-81
TEST(StateCache, AStepThatFailsHalfwayCanBeTakenAgain) {
  Sums sums(2);
  const int s = sums.cache.add_sequence();
  sums.feed(s, {1, 2});
  Batch batch;
  batch.add(s, 2, 2);
  sums.cache.begin(batch);
  sums.take(0, batch.segments[0], {50, 60});  // and no second layer
  EXPECT_EQ(sums.cache.length(s), 2);
  sums.feed(s, {4});
  EXPECT_EQ(sums.sum(s, 0), 7);
  EXPECT_EQ(sums.sum(s, 1), 7);
  EXPECT_EQ(sums.cache.trim_point(s, 2), 2);
}

// GEN-75
TEST(StateCache, ItsBytesAreThoseOfTheStatesItKeeps) {
  Sums sums;
  const int s = sums.cache.add_sequence();
  EXPECT_EQ(sums.cache.n_bytes(), 0u);
  for (int i = 0; i < 20; ++i) sums.feed(s, {1, 2, 3});
  const std::size_t one = 3 * sizeof(float);
  EXPECT_EQ(sums.cache.n_bytes(), 2 * one) << "before and after the last step";
  EXPECT_EQ(sums.cache.arrays().size(), 4u);
  sums.cache.remove(s);
  EXPECT_EQ(sums.cache.n_bytes(), 0u);
}

// GEN-75
TEST(StateCache, AStateDoesNotHoldTheRowsItWasCutFrom) {
  StateCache states;
  mx::synchronize();
  const std::size_t before = mx::get_active_memory();
  {
    mx::array rows = mx::multiply(mx::ones({4096, 64}), mx::array(2.0f));
    states.set(0, 1, 0, mx::slice(rows, {4093, 0}, {4096, 64}));
    std::vector<mx::array> arrays;
    states.append_arrays(arrays);
    mx::eval(arrays);
  }
  mx::synchronize();
  EXPECT_LE(mx::get_active_memory() - before, 32u << 10);
}

TEST(StateCache, AsksForWhatWasNotKeptInVain) {
  Sums sums;
  const int s = sums.cache.add_sequence();
  sums.feed(s, {1, 2});
  SKUA_EXPECT_ERROR(sums.cache.layer(0).states().get(s, 1, 0), Error,
                    "no state after 1 tokens, expected one of 2");
  EXPECT_EQ(sums.cache.layer(0).states().get(s, 0, 0), std::nullopt);
  Batch batch;
  batch.add(s, 2, 2);
  for (const int n : {-1, 2, 3}) {
    batch.segments[0].n_drafted = n;
    SKUA_EXPECT_ERROR(sums.cache.check(batch), InvalidInput, "drafted rows");
  }
}

}  // namespace
}  // namespace skua
