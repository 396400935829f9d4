#include "nn/recurrence.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <random>

#include "kernels/oracle_scope.h"
#include "nn/cache.h"
#include "nn/gated_delta.h"
#include "nn/ssd.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using Floats = std::vector<float>;

mx::array uniform(const mx::Shape& shape, float low, float high,
                  unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> draw(low, high);
  Floats values;
  std::size_t n = 1;
  for (const int d : shape) n *= static_cast<std::size_t>(d);
  for (std::size_t i = 0; i < n; ++i) values.push_back(draw(engine));
  return mx::array(values.begin(), shape);
}

mx::array rows_of(const mx::array& x, int first, int n) {
  mx::Shape from(x.ndim(), 0), to = x.shape();
  from[0] = first;
  to[0] = first + n;
  return mx::slice(x, from, to);
}

/** A recurrence under test: fed in steps, and written down as a loop. */
class Case {
 public:
  virtual ~Case() = default;
  // The rows that `batch` has, from each sequence's own [kRows, ...].
  virtual mx::array run(const Batch& batch, StateCache& states) const = 0;
  // Of all kRows rows of a sequence, one after the other, in double.
  virtual std::vector<double> loop(int sequence) const = 0;

  static constexpr int kRows = 210;

 protected:
  static mx::array gather(const Batch& batch,
                          const std::vector<mx::array>& of_sequences) {
    std::vector<mx::array> parts;
    for (const Segment& s : batch.segments)
      parts.push_back(
          rows_of(of_sequences[static_cast<std::size_t>(s.sequence)],
                  s.position, s.n_rows));
    return mx::concatenate(parts, 0);
  }
};

class SsdCase : public Case {
 public:
  static constexpr int kH = 6, kP = 5, kG = 2, kN = 7;

  SsdCase() : a_(uniform({kH}, -16, -0.01f, 9)) {
    for (unsigned s = 0; s < 3; ++s) {
      x_.push_back(normal({kRows, kH, kP}, 10 + s));
      b_.push_back(normal({kRows, kG, kN}, 20 + s));
      c_.push_back(normal({kRows, kG, kN}, 30 + s));
      dt_.push_back(uniform({kRows, kH}, 0.001f, 0.5f, 40 + s));
    }
  }

  mx::array run(const Batch& batch, StateCache& states) const override {
    return ssd({gather(batch, x_), gather(batch, b_), gather(batch, c_),
                gather(batch, dt_)},
               a_, batch, states, 0);
  }

  std::vector<double> loop(int sequence) const override {
    const auto i = static_cast<std::size_t>(sequence);
    const Floats x = numbers(x_[i]), b = numbers(b_[i]), c = numbers(c_[i]),
                 dt = numbers(dt_[i]), a = numbers(a_);
    std::vector<double> y, state(kH * kP * kN);
    for (int t = 0; t < kRows; ++t) {
      for (int h = 0; h < kH; ++h) {
        const double d = dt[static_cast<std::size_t>(t * kH + h)];
        const int group = (t * kG + h / (kH / kG)) * kN;
        for (int p = 0; p < kP; ++p) {
          double sum = 0;
          for (int n = 0; n < kN; ++n) {
            double& s = state[static_cast<std::size_t>((h * kP + p) * kN + n)];
            s = std::exp(d * a[static_cast<std::size_t>(h)]) * s +
                d * x[static_cast<std::size_t>((t * kH + h) * kP + p)] *
                    b[static_cast<std::size_t>(group + n)];
            sum += s * c[static_cast<std::size_t>(group + n)];
          }
          y.push_back(sum);
        }
      }
    }
    return y;
  }

 private:
  std::vector<mx::array> x_, b_, c_, dt_;
  mx::array a_;
};

class DeltaCase : public Case {
 public:
  static constexpr int kH = 3, kK = 8, kV = 5;

  // Keys of length 1, of which many are alike, and next to no decay: what
  // makes the system of a chunk hard.
  DeltaCase() {
    for (unsigned s = 0; s < 3; ++s) {
      q_.push_back(normal({kRows, kH, kK}, 10 + s));
      const mx::array like = mx::add(
          mx::multiply(normal({kRows, kH, kK}, 20 + s), mx::array(0.1f)),
          normal({1, kH, kK}, 25 + s));
      k_.push_back(mx::divide(
          like, mx::sqrt(mx::sum(mx::multiply(like, like), -1, true))));
      v_.push_back(normal({kRows, kH, kV}, 30 + s));
      log_decay_.push_back(uniform({kRows, kH}, -0.01f, 0, 40 + s));
      beta_.push_back(uniform({kRows, kH}, 0, 1, 50 + s));
    }
  }

  mx::array run(const Batch& batch, StateCache& states) const override {
    return gated_delta({gather(batch, q_), gather(batch, k_), gather(batch, v_),
                        gather(batch, log_decay_), gather(batch, beta_)},
                       batch, states, 0);
  }

  std::vector<double> loop(int sequence) const override {
    const auto i = static_cast<std::size_t>(sequence);
    const Floats q = numbers(q_[i]), k = numbers(k_[i]), v = numbers(v_[i]),
                 g = numbers(log_decay_[i]), beta = numbers(beta_[i]);
    std::vector<double> y, state(kH * kV * kK);
    for (std::size_t t = 0; t < kRows; ++t) {
      for (std::size_t h = 0; h < kH; ++h) {
        const std::size_t key = (t * kH + h) * kK;
        for (std::size_t r = 0; r < kV; ++r) {
          double* s = &state[(h * kV + r) * kK];
          double known = 0, sum = 0;
          for (std::size_t c = 0; c < kK; ++c) {
            s[c] *= std::exp(static_cast<double>(g[t * kH + h]));
            known += s[c] * k[key + c];
          }
          const double u =
              beta[t * kH + h] * (v[(t * kH + h) * kV + r] - known);
          for (std::size_t c = 0; c < kK; ++c) {
            s[c] += u * k[key + c];
            sum += s[c] * q[key + c];
          }
          y.push_back(sum);
        }
      }
    }
    return y;
  }

 private:
  std::vector<mx::array> q_, k_, v_, log_decay_, beta_;
};

void expect_near(const Floats& got, const std::vector<double>& want,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - want[i]));
    largest = std::max(largest, std::abs(want[i]));
  }
  EXPECT_LE(worst, 2e-6 * largest) << what;
}

class RecurrenceTest : public testing::TestWithParam<bool> {
 protected:
  RecurrenceTest() {
    if (GetParam())
      one_ = std::make_unique<DeltaCase>();
    else
      one_ = std::make_unique<SsdCase>();
  }

  // The next rows of some sequences, as {sequence, rows, drafted}.
  struct Part {
    int sequence, n_rows, n_drafted = 0;
  };
  Floats feed(Cache& cache, const std::vector<Part>& parts) const {
    Batch batch;
    for (const Part& part : parts) {
      batch.add(part.sequence, cache.length(part.sequence), part.n_rows);
      batch.segments.back().n_drafted = part.n_drafted;
    }
    cache.check(batch);
    cache.begin(batch);
    const auto y = numbers(one_->run(batch, cache.layer(0).states()));
    cache.advance(batch);
    return y;
  }
  Floats all(const std::vector<int>& steps, int sequence = 0) const {
    Cache cache(1);
    while (cache.add_sequence() != sequence) {
    }
    Floats y;
    for (const int n : steps) {
      const Floats more = feed(cache, {{sequence, n}});
      y.insert(y.end(), more.begin(), more.end());
    }
    return y;
  }

  std::unique_ptr<Case> one_;
};

// GEN-75
TEST_P(RecurrenceTest, ChunksOfAnySizeEqualALoopOverTime) {
  const auto want = one_->loop(0);
  for (const auto& steps :
       std::vector<std::vector<int>>{{210},
                                     {64, 64, 64, 18},
                                     {65, 63, 82},
                                     {1, 127, 16, 15, 17, 34},
                                     std::vector<int>(70, 3),
                                     std::vector<int>(210, 1)}) {
    expect_near(all(steps), want,
                std::to_string(steps.size()) + " steps, the first of " +
                    std::to_string(steps[0]));
  }
}

// GEN-75, COMP-05
TEST_P(RecurrenceTest, AnOracleEqualsALoopOverTime) {
  const OracleScope scope;
  expect_near(all({210}), one_->loop(0), "oracle");
}

// GEN-63
TEST_P(RecurrenceTest, RowsBesideOthersHaveTheBitsOfRowsAlone) {
  const std::vector<std::vector<int>> alone = {
      {40, 1, 1, 1, 5, 20}, {3, 1, 70, 1, 1, 15}, {1, 1, 1, 1, 1, 1}};
  std::vector<Floats> want;
  for (int s = 0; s < 3; ++s)
    want.push_back(all(alone[static_cast<std::size_t>(s)], s));
  const std::size_t width = want[2].size() / 6;
  Cache cache(1);
  for (int s = 0; s < 3; ++s) cache.add_sequence();
  std::vector<Floats> got(3);
  for (std::size_t step = 0; step < 6; ++step) {
    std::vector<Part> parts;
    for (int s = 0; s < 3; ++s)
      parts.push_back({s, alone[static_cast<std::size_t>(s)][step]});
    const Floats y = feed(cache, parts);
    auto at = y.begin();
    for (std::size_t s = 0; s < 3; ++s) {
      const auto end = at + alone[s][step] * static_cast<long>(width);
      got[s].insert(got[s].end(), at, end);
      at = end;
    }
  }
  for (std::size_t s = 0; s < 3; ++s) EXPECT_EQ(got[s], want[s]) << s;
}

// GEN-75, SPEC-01
TEST_P(RecurrenceTest, DraftedRowsHaveTheBitsOfSingleSteps) {
  const std::vector<int> plain = {30, 1, 1, 1, 1, 1, 1, 1};
  const Floats want = all(plain);
  const std::size_t width = want.size() / 37;
  Cache cache(1);
  cache.add_sequence();
  feed(cache, {{0, 30}});
  Floats y = feed(cache, {{0, 5, 4}});
  EXPECT_EQ(y, Floats(want.begin() + 30 * static_cast<long>(width),
                      want.begin() + 35 * static_cast<long>(width)));
  // Two of the drafted stand; they are read again beside further ones.
  EXPECT_EQ(cache.trim_point(0, 33), 31);
  cache.trim(0, 31);
  y = feed(cache, {{0, 6, 3}});
  EXPECT_EQ(y,
            Floats(want.begin() + 31 * static_cast<long>(width), want.end()));
}

INSTANTIATE_TEST_SUITE_P(Layers, RecurrenceTest, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "GatedDelta" : "Ssd";
                         });

TEST(Recurrence, RefusesShapesThatDoNotFit) {
  Cache cache(1);
  Batch batch;
  batch.add(cache.add_sequence(), 0, 2);
  StateCache& states = cache.layer(0).states();
  const auto zeros = [](mx::Shape shape) { return mx::zeros(shape); };
  const SsdRows rows{zeros({2, 4, 3}), zeros({2, 3, 5}), zeros({2, 3, 5}),
                     zeros({2, 4})};
  SKUA_EXPECT_ERROR(ssd(rows, zeros({4}), batch, states, 0), InvalidInput,
                    "[ssd] x is [2, 4, 3] and b [2, 3, 5]");
  const DeltaRows delta{zeros({2, 4, 3}), zeros({2, 4, 3}), zeros({2, 3, 5}),
                        zeros({2, 4}), zeros({2, 4})};
  SKUA_EXPECT_ERROR(gated_delta(delta, batch, states, 0), InvalidInput,
                    "[gated delta] k is [2, 4, 3]");
}

}  // namespace
}  // namespace skua
