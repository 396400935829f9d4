#include "kernels/state_step.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;

struct Sizes {
  int n_seq, n_groups, n_heads, p, n;
};

StateStep some_rows(const Sizes& z, bool delta) {
  StateStep rows{normal({z.n_seq, z.n_groups, z.n}, 1),
                 normal({z.n_seq, z.n_groups, z.n}, 2),
                 normal({z.n_seq, z.n_heads, z.p}, 3),
                 normal({z.n_seq, z.n_heads}, 4),
                 {}};
  if (delta) rows.beta = normal({z.n_seq, z.n_heads}, 5);
  return rows;
}

struct Numbers {
  std::vector<float> y, state;
};

// The definition, in float64.
Numbers by_hand(const Sizes& z, const StateStep& rows, const mx::array& state) {
  const auto q = numbers(rows.q), k = numbers(rows.k), v = numbers(rows.v),
             log_decay = numbers(rows.log_decay), before = numbers(state);
  const auto beta = rows.beta ? numbers(*rows.beta) : std::vector<float>();
  Numbers made;
  for (int head = 0; head < z.n_seq * z.n_heads; ++head) {
    const int group = head / (z.n_heads / z.n_groups);
    const double decay = std::exp(double{log_decay[head]});
    for (int i = 0; i < z.p; ++i) {
      const float* old = &before[(head * z.p + i) * z.n];
      double u = v[head * z.p + i];
      if (rows.beta) {
        for (int j = 0; j < z.n; ++j)
          u -= decay * double{old[j]} * k[group * z.n + j];
        u *= beta[head];
      }
      double y = 0;
      for (int j = 0; j < z.n; ++j) {
        const double now = decay * old[j] + u * k[group * z.n + j];
        made.state.push_back(static_cast<float>(now));
        y += now * q[group * z.n + j];
      }
      made.y.push_back(static_cast<float>(y));
    }
  }
  return made;
}

// Relative to the largest.
double error(const mx::array& got, const std::vector<float>& want) {
  double largest = 0;
  for (const float x : want) largest = std::max(largest, std::abs(double{x}));
  return worst(numbers(got), want, largest);
}

TEST(StateStepTest, AndItsFallbackAreTheDefinition) {
  for (const bool delta : {false, true}) {
    for (const Sizes& z : {Sizes{1, 1, 1, 1, 1}, Sizes{1, 2, 2, 3, 7},
                           Sizes{3, 2, 6, 5, 17}, Sizes{2, 4, 8, 16, 64}}) {
      const StateStep rows = some_rows(z, delta);
      const mx::array state = normal({z.n_seq, z.n_heads, z.p, z.n}, 6);
      const Numbers want = by_hand(z, rows, state);
      for (const StateResult& got :
           {state_step(rows, state), state_step_fallback(rows, state)}) {
        EXPECT_EQ(got.y.shape(), rows.v.shape());
        EXPECT_EQ(got.state.shape(), state.shape());
        EXPECT_LE(error(got.y, want.y), 2e-6) << delta << z.n;
        EXPECT_LE(error(got.state, want.state), 2e-6);
      }
    }
  }
}

TEST(StateStepTest, TakesWhatIsNotContiguous) {
  const Sizes z{2, 2, 4, 5, 9};
  StateStep rows = some_rows(z, true);
  const mx::array state = normal({2, 4, 5, 9}, 6);
  const Numbers want = by_hand(z, rows, state);
  rows.v = mx::swapaxes(mx::contiguous(mx::swapaxes(rows.v, 1, 2)), 1, 2);
  const mx::array turned =
      mx::swapaxes(mx::contiguous(mx::swapaxes(state, 2, 3)), 2, 3);
  const StateResult got = state_step(rows, turned);
  EXPECT_LE(error(got.y, want.y), 2e-6);
  EXPECT_LE(error(got.state, want.state), 2e-6);
}

TEST(StateStepTest, RefusesWhatDoesNotFit) {
  const Sizes z{1, 2, 4, 3, 5};
  const mx::array state = normal({1, 4, 3, 5}, 6);
  const auto refused = [&](const auto& change, const std::string& text) {
    StateStep rows = some_rows(z, true);
    change(rows);
    SKUA_EXPECT_ERROR(state_step(rows, state), InvalidInput, text);
  };
  refused([](StateStep& r) { r.k = normal({1, 3, 5}, 1); }, "k is [1, 3, 5]");
  refused([](StateStep& r) { r.q = normal({1, 2, 4}, 1); }, "state step");
  refused([](StateStep& r) { r.v = normal({1, 4, 5}, 1); }, "v [1, 4, 5]");
  refused([](StateStep& r) { r.beta = normal({1, 3}, 1); }, "state step");
  refused([](StateStep& r) { r.log_decay = normal({2, 4}, 1); }, "state step");
  refused([](StateStep& r) { r.v = mx::astype(r.v, mx::float16); },
          "in float32");
}

}  // namespace
}  // namespace skua
