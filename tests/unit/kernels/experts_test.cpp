#include "kernels/experts.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/experts.h"
#include "skua/error.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using test::make_matrix;
using test::MatrixKind;
using test::normal;
using test::numbers;

ExpertMatrices make_experts(const MatrixKind& kind, int n_experts, int rows,
                            int cols, std::uint64_t seed,
                            Precision precision = Precision::kExact) {
  ExpertMatrices w{make_matrix(kind, n_experts * rows, cols, seed), n_experts};
  w.all.precision = precision;
  return w;
}

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

mx::array make_ids(int n_tokens, int n_slots, int n_experts) {
  std::vector<std::int32_t> ids;
  std::uint32_t state = 12345;
  for (int i = 0; i < n_tokens * n_slots; ++i) {
    state = state * 1664525 + 1013904223;
    ids.push_back(static_cast<std::int32_t>(state >> 8) % n_experts);
  }
  return mx::array(ids.data(), {n_tokens, n_slots}, mx::int32);
}

std::vector<std::int32_t> whole_numbers(mx::array ids) {
  ids.eval();
  return {ids.data<std::int32_t>(), ids.data<std::int32_t>() + ids.size()};
}

// Rows [first, first + n) of an array of any rank.
mx::array tokens(const mx::array& a, int first, int n) {
  mx::Shape begin(a.ndim(), 0);
  mx::Shape end = a.shape();
  begin[0] = first;
  end[0] = first + n;
  return mx::contiguous(mx::slice(a, begin, end));
}

struct Sum {
  double value = 0, size = 0;
  void add(double a, double b) {
    value += a * b;
    size += std::abs(a * b);
  }
};

// Products in float64 of one vector with the rows of one expert.
std::vector<Sum> product(const std::vector<float>& w, std::size_t expert,
                         std::size_t n_rows, const std::vector<double>& x) {
  std::vector<Sum> y(n_rows);
  const float* row = w.data() + expert * n_rows * x.size();
  for (std::size_t r = 0; r < n_rows; ++r, row += x.size())
    for (std::size_t c = 0; c < x.size(); ++c) y[r].add(x[c], row[c]);
  return y;
}

struct Mlp {
  ExpertMatrices gate, up, down;

  Mlp(const MatrixKind& kind, int n_experts, int dim, int hidden_dim,
      Precision precision)
      : gate(make_experts(kind, n_experts, hidden_dim, dim, 1, precision)),
        up(make_experts(kind, n_experts, hidden_dim, dim, 2, precision)),
        down(make_experts(kind, n_experts, dim, hidden_dim, 3, precision)) {}

  GatedExpertWeights weights(Gate activation = Gate::kSilu) const {
    return {&gate, &up, &down, activation};
  }
};

class Experts : public testing::TestWithParam<MatrixKind> {
 protected:
  static constexpr int kDim = 64;
  static constexpr int kHidden = 192;

  // body(make(n_experts), ids) for many sizes.
  template <class Make, class Body>
  static void for_each_size(const Make& make, const Body& body) {
    for (const int n_experts : {1, 4, 16}) {
      const auto experts = make(n_experts);
      for (const int n_slots : {1, 2, 8}) {
        for (const int n_tokens : {1, 2, 7, 33, 70}) {
          SCOPED_TRACE("E " + std::to_string(n_experts) + ", k " +
                       std::to_string(n_slots) + ", T " +
                       std::to_string(n_tokens));
          body(experts, make_ids(n_tokens, n_slots, n_experts));
        }
      }
    }
  }
};

TEST_P(Experts, LinearEqualsItsFallback) {
  const auto make = [](int n_experts) {
    return make_experts(GetParam(), n_experts, 66, kDim, 4);
  };
  for_each_size(make, [](const ExpertMatrices& w, const mx::array& ids) {
    const int n_tokens = ids.shape(0);
    const int n_slots = ids.shape(1);
    for (const mx::array& x :
         {normal({n_tokens, kDim}, 5), normal({n_tokens, n_slots, kDim}, 6)}) {
      const auto want = expert_linear_fallback(x, w, ids);
      const auto got = expert_linear(x, w, ids);
      EXPECT_EQ(got.shape(), (mx::Shape{n_tokens, n_slots, 66}));
      ASSERT_EQ(want.shape(), got.shape());
      const double scale = mx::max(mx::abs(want)).item<float>();
      EXPECT_LE(test::worst(numbers(got), numbers(want), scale), 5e-6);
    }
  });
}

TEST_P(Experts, LinearEqualsTheSumInFloat64) {
  struct Layer {
    ExpertMatrices w;
    std::vector<float> values;
  };
  for (const auto& [precision, tolerance] :
       {std::pair{Precision::kExact, 2e-6},
        std::pair{Precision::kDeterministic, 3e-5}}) {
    const auto make = [precision = precision](int n_experts) {
      auto w = make_experts(GetParam(), n_experts, 66, kDim, 4, precision);
      return Layer{w, numbers(dequantize(w.all))};
    };
    for_each_size(make, [tolerance = tolerance](const Layer& layer,
                                                const mx::array& ids) {
      const auto e = whole_numbers(ids);
      const mx::array x = normal({ids.shape(0), kDim}, 5);
      const auto xs = numbers(x);
      const auto got = numbers(expert_linear(x, layer.w, ids));
      for (std::size_t s = 0; s < e.size(); ++s) {
        const float* row = xs.data() + s / size(ids.shape(1)) * kDim;
        const auto want =
            product(layer.values, size(e[s]), 66, {row, row + kDim});
        for (std::size_t r = 0; r < 66; ++r) {
          ASSERT_NEAR(got[s * 66 + r], want[r].value,
                      tolerance * want[r].size + 1e-7)
              << "slot " << s << ", row " << r;
        }
      }
    });
  }
}

TEST_P(Experts, GatedMlpEqualsItsFallback) {
  const auto make = [](int n_experts) {
    return Mlp(GetParam(), n_experts, kDim, kHidden, Precision::kExact);
  };
  for_each_size(make, [](const Mlp& mlp, const mx::array& ids) {
    const mx::array x = normal({ids.shape(0), kDim}, 7);
    const mx::array weights = normal(ids.shape(), 8);
    const auto activation = ids.shape(1) == 2 ? Gate::kGeluTanh : Gate::kSilu;
    const auto want =
        expert_gated_mlp_fallback(x, mlp.weights(activation), ids, weights);
    const auto got = expert_gated_mlp(x, mlp.weights(activation), ids, weights);
    const double scale = mx::max(mx::abs(want)).item<float>();
    EXPECT_EQ(got.shape(), x.shape());
    EXPECT_LE(test::worst(numbers(got), numbers(want), scale), 1e-5);
  });
}

// The numbers of an Mlp, to sum in float64.
struct ExactMlp {
  Mlp mlp;
  std::vector<float> gate = numbers(dequantize(mlp.gate.all));
  std::vector<float> up = numbers(dequantize(mlp.up.all));
  std::vector<float> down = numbers(dequantize(mlp.down.all));

  std::vector<Sum> run(std::size_t expert, const std::vector<double>& x) const {
    const std::size_t hidden_dim = size(mlp.gate.rows());
    const auto g = product(gate, expert, hidden_dim, x);
    const auto u = product(up, expert, hidden_dim, x);
    std::vector<double> hidden(hidden_dim);
    for (std::size_t i = 0; i < hidden_dim; ++i)
      hidden[i] = g[i].value / (1 + std::exp(-g[i].value)) * u[i].value;
    return product(down, expert, x.size(), hidden);
  }
};

TEST_P(Experts, GatedMlpEqualsTheSumInFloat64) {
  for (const auto& [precision, tolerance] :
       {std::pair{Precision::kExact, 1e-5},
        std::pair{Precision::kDeterministic, 1e-4}}) {
    const auto make = [precision = precision](int n_experts) {
      return ExactMlp{{GetParam(), n_experts, kDim, kHidden, precision}};
    };
    for_each_size(make, [tolerance = tolerance](const ExactMlp& exact,
                                                const mx::array& ids) {
      const mx::array x = normal({ids.shape(0), kDim}, 7);
      const mx::array weights = normal(ids.shape(), 8);
      const auto got =
          numbers(expert_gated_mlp(x, exact.mlp.weights(), ids, weights));
      const auto e = whole_numbers(ids);
      const auto xs = numbers(x);
      const auto factors = numbers(weights);
      const std::size_t n_slots = size(ids.shape(1));
      const std::size_t n_tokens = e.size() / n_slots;
      for (std::size_t t = 0; t < n_tokens; t += 1 + n_tokens / 8) {
        const float* row = xs.data() + t * kDim;
        std::vector<Sum> want(kDim);
        for (std::size_t s = t * n_slots; s < (t + 1) * n_slots; ++s) {
          const auto y = exact.run(size(e[s]), {row, row + kDim});
          for (std::size_t c = 0; c < want.size(); ++c) {
            want[c].value += factors[s] * y[c].value;
            want[c].size += std::abs(factors[s]) * y[c].size;
          }
        }
        for (std::size_t c = 0; c < want.size(); ++c) {
          ASSERT_NEAR(got[t * kDim + c], want[c].value,
                      tolerance * want[c].size)
              << "token " << t << ", column " << c;
        }
      }
    });
  }
}

TEST_P(Experts, ARowHasTheSameBitsAloneAndInAnyBatch) {
  for (const Precision precision :
       {Precision::kExact, Precision::kDeterministic}) {
    const Mlp mlp(GetParam(), 4, kDim, kHidden, precision);
    const mx::array x = normal({70, kDim}, 7);
    const mx::array ids = make_ids(70, 2, 4);
    const mx::array weights = normal({70, 2}, 8);
    const auto linear = expert_linear(x, mlp.gate, ids);
    const auto mlp_of = [&](int first, int n) {
      return numbers(expert_gated_mlp(tokens(x, first, n), mlp.weights(),
                                      tokens(ids, first, n),
                                      tokens(weights, first, n)));
    };
    const auto all = mlp_of(0, 70);
    for (const auto& [first, n] :
         {std::pair{0, 1}, {33, 1}, {69, 1}, {1, 2}, {5, 7}, {20, 33}}) {
      const auto some = mlp_of(first, n);
      EXPECT_TRUE(std::equal(some.begin(), some.end(),
                             all.begin() + std::ptrdiff_t{first} * kDim))
          << first << " " << n;
      EXPECT_EQ(numbers(expert_linear(tokens(x, first, n), mlp.gate,
                                      tokens(ids, first, n))),
                numbers(tokens(linear, first, n)))
          << first << " " << n;
    }
  }
}

TEST_P(Experts, AllTokensOfOneExpertGiveItsLinearLayer) {
  const auto w = make_experts(GetParam(), 4, 66, kDim, 4);
  const mx::array x = normal({33, kDim}, 5);
  const auto own = numbers(tokens(dequantize(w.all), 2 * 66, 66));
  const auto got =
      numbers(expert_linear(x, w, mx::full({33, 1}, 2, mx::int32)));
  const auto xs = numbers(x);
  for (std::size_t t = 0; t < 33; ++t) {
    const float* row = xs.data() + t * kDim;
    const auto want = product(own, 0, 66, {row, row + kDim});
    for (std::size_t r = 0; r < 66; ++r)
      ASSERT_NEAR(got[t * 66 + r], want[r].value, 2e-6 * want[r].size + 1e-7);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Experts,
    testing::Values(MatrixKind{"dense"},
                    MatrixKind{"dense", 0, 0, mx::bfloat16},
                    MatrixKind{"affine", 4, 64, mx::bfloat16},
                    MatrixKind{"affine", 4, 32, mx::float16},
                    MatrixKind{"affine", 6, 16}, MatrixKind{"affine", 8, 64},
                    MatrixKind{"mxfp4", 4, 32}),
    [](const auto& info) { return info.param.name(); });

// Copies of an array's experts in whole pages, those without a token closed.
class ClosedPages {
 public:
  ClosedPages(const mx::array& a, std::size_t n_experts, std::size_t open)
      : size_(a.nbytes()) {
    room_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(room_, a.data<char>(), size_);
    const std::size_t each = size_ / n_experts;
    EXPECT_EQ(each % 4096, 0u);
    for (std::size_t e = 0; e < n_experts; ++e) {
      if (e == open) continue;
      EXPECT_EQ(mprotect(static_cast<char*>(room_) + e * each, each, PROT_NONE),
                0);
    }
  }
  ~ClosedPages() { munmap(room_, size_); }
  ClosedPages(const ClosedPages&) = delete;
  ClosedPages& operator=(const ClosedPages&) = delete;
  const std::uint8_t* data() const {
    return static_cast<const std::uint8_t*>(room_);
  }

 private:
  void* room_;
  std::size_t size_;
};

class ClosedExperts {
 public:
  ClosedExperts(const ExpertMatrices& w, std::size_t open)
      : view_{view(w.all), size(w.n_experts)} {
    const auto close = [&](const mx::array& a) {
      pages_.push_back(
          std::make_unique<ClosedPages>(a, size(w.n_experts), open));
      return pages_.back()->data();
    };
    view_.all.values = close(w.all.weight);
    if (w.all.scales) view_.all.scales = close(*w.all.scales);
    if (w.all.biases) view_.all.biases = close(*w.all.biases);
  }
  const cpu::ExpertsView& operator*() const { return view_; }

 private:
  cpu::ExpertsView view_;
  std::vector<std::unique_ptr<ClosedPages>> pages_;
};

TEST(ExpertsMemory, NoByteIsReadOfExpertsWithoutAToken) {
  for (const MatrixKind& kind :
       {MatrixKind{"dense"}, MatrixKind{"affine", 4, 64}}) {
    for (const Precision precision : {Precision::kExact, Precision::kDefault}) {
      const Mlp mlp(kind, 4, 128, 512, precision);
      for (const std::size_t open : {0, 1, 3}) {
        const ClosedExperts gate(mlp.gate, open);
        const ClosedExperts up(mlp.up, open);
        const ClosedExperts down(mlp.down, open);
        for (const int n_tokens : {1, 5, 33}) {
          const mx::array x = normal({n_tokens, 128}, 4);
          const std::vector<float> weights(size(n_tokens), 1.0f);
          const std::vector<std::int32_t> ids(size(n_tokens),
                                              static_cast<std::int32_t>(open));
          std::vector<float> y(size(n_tokens) * 128);
          cpu::expert_gated_mlp({*gate, *up, *down, cpu::silu_gate},
                                {ids.data(), size(n_tokens), 1}, weights.data(),
                                x.data<float>(), y.data());
          EXPECT_EQ(y, numbers(expert_gated_mlp(
                           x, mlp.weights(),
                           mx::array(ids.data(), {n_tokens, 1}, mx::int32),
                           mx::ones({n_tokens, 1}))));
        }
      }
    }
  }
}

TEST(ExpertsMemory, BlocksOfTokensChangeNoBit) {
  // More than one block of scratch memory in both functions.
  const Mlp mlp({"affine", 4, 64}, 3, 2048, 64, Precision::kDeterministic);
  const int n_tokens = 1100;
  const mx::array x = normal({n_tokens, 2048}, 4);
  const mx::array ids = make_ids(n_tokens, 8, 3);
  const mx::array weights = normal({n_tokens, 8}, 5);
  const auto y = expert_gated_mlp(x, mlp.weights(), ids, weights);
  const auto gate = expert_linear(x, mlp.gate, ids);
  const auto wide = mx::contiguous(
      mx::broadcast_to(mx::expand_dims(x, 1), {n_tokens, 8, 2048}));
  EXPECT_EQ(numbers(expert_linear(wide, mlp.gate, ids)), numbers(gate));
  for (const int first : {0, 490, 510, 990, 1080}) {
    const auto some = tokens(ids, first, 20);
    EXPECT_EQ(numbers(expert_gated_mlp(tokens(x, first, 20), mlp.weights(),
                                       some, tokens(weights, first, 20))),
              numbers(tokens(y, first, 20)))
        << first;
    EXPECT_EQ(numbers(expert_linear(tokens(x, first, 20), mlp.gate, some)),
              numbers(tokens(gate, first, 20)))
        << first;
  }
}

TEST(ExpertLinear, AddsTheBiasOfEachExpert) {
  const auto w = make_experts({"mxfp4", 4, 32}, 16, 66, 128, 1);
  const mx::array x = normal({4, 128}, 2);
  const mx::array ids = make_ids(4, 2, 16);  // some are not hit
  const mx::array bias = normal({16, 66}, 3);
  const auto got = expert_linear(x, w, ids, bias);
  const auto want = mx::add(expert_linear(x, w, ids), mx::take(bias, ids, 0));
  EXPECT_EQ(numbers(got), numbers(want));
  const auto slow = numbers(expert_linear_fallback(x, w, ids, bias));
  EXPECT_LE(test::worst(numbers(got), slow, 30), 1e-5);
}

TEST(ExpertLinear, NoTokensGiveNoRows) {
  const Mlp mlp({"affine", 4, 64}, 4, 64, 192, Precision::kDefault);
  const mx::array x = mx::zeros({0, 64});
  const mx::array ids = mx::zeros({0, 2}, mx::int32);
  EXPECT_EQ(numbers(expert_linear(x, mlp.gate, ids)).size(), 0u);
  const auto y = expert_gated_mlp(x, mlp.weights(), ids, mx::zeros({0, 2}));
  EXPECT_EQ(numbers(y).size(), 0u);
}

TEST(ExpertLinear, TakesUnsignedIdsAndStridedInputs) {
  const auto w = make_experts({"affine", 4, 32}, 4, 66, 128, 1);
  const mx::array x = normal({128, 7}, 2);
  const mx::array ids = make_ids(2, 7, 4);
  const mx::array turned = mx::contiguous(mx::transpose(ids));
  EXPECT_EQ(
      numbers(expert_linear(mx::transpose(x), w,
                            mx::astype(mx::transpose(ids), mx::uint32))),
      numbers(expert_linear(mx::contiguous(mx::transpose(x)), w, turned)));
}

TEST(ExpertLinear, HalfPrecisionActivationsTakeTheFallback) {
  for (const MatrixKind& kind :
       {MatrixKind{"dense"}, MatrixKind{"affine", 4, 32}}) {
    const Mlp mlp(kind, 4, 128, 192, Precision::kDefault);
    const mx::array x = normal({7, 128}, 2);
    const mx::array ids = make_ids(7, 2, 4);
    const mx::array weights = normal({7, 2}, 3, 0.3f);
    const auto y = expert_gated_mlp(mx::astype(x, mx::bfloat16), mlp.weights(),
                                    ids, mx::astype(weights, mx::bfloat16));
    EXPECT_EQ(y.dtype(), mx::bfloat16);
    const auto want = expert_gated_mlp(x, mlp.weights(), ids, weights);
    const double scale = mx::max(mx::abs(want)).item<float>();
    EXPECT_LE(test::worst(numbers(y), numbers(want), scale), 0.05);
  }
}

TEST(ExpertGatedMlp, IsMadeOfTheSamePiecesAsItsComposition) {
  const Mlp mlp({"affine", 4, 64}, 4, 128, 192, Precision::kDefault);
  const mx::array x = normal({33, 128}, 2);
  const mx::array ids = make_ids(33, 2, 4);
  const mx::array weights = normal({33, 2}, 3);
  const auto hidden = gated(Gate::kSilu, expert_linear(x, mlp.gate, ids),
                            expert_linear(x, mlp.up, ids));
  const auto parts = mx::multiply(expert_linear(hidden, mlp.down, ids),
                                  mx::expand_dims(weights, 2));
  EXPECT_EQ(numbers(expert_gated_mlp(x, mlp.weights(), ids, weights)),
            numbers(mx::sum(parts, 1)));
}

TEST(ExpertGatedMlp, TakesMatricesOfSeveralKinds) {
  Mlp mlp({"affine", 4, 64}, 4, 128, 192, Precision::kDeterministic);
  const mx::array x = normal({33, 128}, 2);
  const mx::array ids = make_ids(33, 2, 4);
  const mx::array weights = normal({33, 2}, 3);
  mlp.up = make_experts({"dense", 0, 0, mx::bfloat16}, 4, 192, 128, 9);
  mlp.down = make_experts({"affine", 6, 32}, 4, 128, 192, 10);
  const auto want = expert_gated_mlp_fallback(x, mlp.weights(), ids, weights);
  const double scale = mx::max(mx::abs(want)).item<float>();
  const auto got = expert_gated_mlp(x, mlp.weights(), ids, weights);
  EXPECT_LE(test::worst(numbers(got), numbers(want), scale), 1e-4);
}

TEST(ExpertIds, OutsideTheExpertsThrowAtEvaluationAndTheStreamGoesOn) {
  const Mlp mlp({"dense"}, 4, 8, 16, Precision::kExact);
  const mx::array x = normal({2, 8}, 1);
  const mx::array weights = mx::ones({2, 1});
  for (const int bad : {-1, 4, 1 << 30}) {
    const mx::array ids = mx::array({0, bad}, {2, 1}, mx::int32);
    {
      mx::array y = expert_linear(x, mlp.gate, ids);
      SKUA_EXPECT_ERROR(
          y.eval(), std::runtime_error,
          "expert id is " + std::to_string(bad) + ", expected 0 to 3");
    }
    {
      mx::array y = expert_gated_mlp(x, mlp.weights(), ids, weights);
      SKUA_EXPECT_ERROR(y.eval(), std::runtime_error, "[experts] expert id");
    }
    const mx::array good = mx::array({3, 0}, {2, 1}, mx::int32);
    EXPECT_EQ(numbers(expert_linear(x, mlp.gate, good)).size(), 32u);
  }
}

TEST(ExpertShapes, AreNamedWhereTheyDoNotFit) {
  const Mlp mlp({"affine", 4, 32}, 4, 64, 96, Precision::kExact);
  const mx::array x = mx::zeros({2, 64});
  const mx::array ids = mx::zeros({2, 3}, mx::int32);
  const mx::array weights = mx::zeros({2, 3});
  const auto linear = [&](const mx::array& x, const mx::array& ids) {
    return expert_linear(x, mlp.gate, ids);
  };
  SKUA_EXPECT_ERROR(linear(mx::zeros({2, 63}), ids), InvalidInput,
                    "[expert_linear] x is [2, 63], expected [T, 64] or "
                    "[T, 3, 64]");
  SKUA_EXPECT_ERROR(linear(mx::zeros({2, 4, 64}), ids), InvalidInput,
                    "x is [2, 4, 64]");
  SKUA_EXPECT_ERROR(linear(mx::zeros({}), ids), InvalidInput,
                    "[expert_linear]");
  SKUA_EXPECT_ERROR(linear(x, mx::zeros({3, 3}, mx::int32)), InvalidInput,
                    "ids are [3, 3], expected [2, k]");
  SKUA_EXPECT_ERROR(linear(x, mx::zeros({2}, mx::int32)), InvalidInput, "ids");
  SKUA_EXPECT_ERROR(linear(x, mx::zeros({2, 0}, mx::int32)), InvalidInput,
                    "ids");
  SKUA_EXPECT_ERROR(linear(x, mx::zeros({2, 3}, mx::int64)), InvalidInput,
                    "of type int32 or uint32");
  SKUA_EXPECT_ERROR(expert_linear(x, mlp.gate, ids, mx::zeros({96})),
                    InvalidInput, "bias is [96], expected [4, 96]");
  const auto gated_mlp = [&](const mx::array& x, const mx::array& weights) {
    return expert_gated_mlp(x, mlp.weights(), ids, weights);
  };
  SKUA_EXPECT_ERROR(gated_mlp(mx::zeros({2, 3, 64}), weights), InvalidInput,
                    "[expert_gated_mlp] x is [2, 3, 64], expected [T, 64]");
  SKUA_EXPECT_ERROR(gated_mlp(x, mx::zeros({2, 2})), InvalidInput,
                    "weights are [2, 2], expected [2, 3]");
  SKUA_EXPECT_ERROR(
      expert_gated_mlp(x, {&mlp.gate, &mlp.up, &mlp.up}, ids, weights),
      InvalidInput, "the experts are [4, 96, 64], expected [4, 64, 96]");
  const auto fewer = make_experts({"affine", 4, 32}, 3, 96, 64, 1);
  SKUA_EXPECT_ERROR(
      expert_gated_mlp(x, {&mlp.gate, &fewer, &mlp.down}, ids, weights),
      InvalidInput, "the experts are [3, 96, 64], expected [4, 96, 64]");
}

TEST(ExpertMatrices, TakesStackedArraysInPlace) {
  for (const MatrixKind& kind :
       {MatrixKind{"dense", 0, 0, mx::bfloat16}, MatrixKind{"affine", 4, 32},
        MatrixKind{"mxfp4", 4, 32}}) {
    const WeightMatrix flat = make_matrix(kind, 4 * 6, 64, 1);
    const auto stack = [](const mx::array& a) {
      mx::array stacked = mx::reshape(a, {4, 6, a.shape(1)});
      stacked.eval();
      return stacked;
    };
    WeightMatrix stacked{stack(flat.weight), std::nullopt, std::nullopt,
                         flat.quantization, Precision::kDefault};
    if (flat.scales) stacked.scales = stack(*flat.scales);
    if (flat.biases) stacked.biases = stack(*flat.biases);
    ExpertMatrices w = expert_matrices("mlp.experts", stacked, 4, 6, 64);
    EXPECT_EQ(w.n_experts, 4);
    EXPECT_EQ(w.rows(), 6);
    EXPECT_EQ(w.cols(), 64);
    EXPECT_EQ(w.all.precision, Precision::kDefault);
    EXPECT_EQ(numbers(dequantize(w.all)), numbers(dequantize(flat)));
    w.all.weight.eval();
    EXPECT_EQ(w.all.weight.data<char>(), flat.weight.data<char>());
  }
}

TEST(ExpertMatrices, NamesArraysThatDoNotFit) {
  const auto dense = [](const mx::Shape& shape) {
    return WeightMatrix{mx::zeros(shape), std::nullopt, std::nullopt, {}};
  };
  SKUA_EXPECT_ERROR(expert_matrices("w", dense({4, 5, 64}), 4, 6, 64),
                    InvalidInput,
                    "[w.weight] shape is [4, 5, 64], expected [4, 6, ...]");
  SKUA_EXPECT_ERROR(expert_matrices("w", dense({6, 4, 64}), 4, 6, 64),
                    InvalidInput, "[w.weight]");
  SKUA_EXPECT_ERROR(expert_matrices("w", dense({24, 64}), 4, 6, 64),
                    InvalidInput, "[w.weight]");
  SKUA_EXPECT_ERROR(expert_matrices("w", dense({4, 6, 63}), 4, 6, 64),
                    InvalidInput, "[w.weight]");
  SKUA_EXPECT_ERROR(expert_matrices("w", dense({0, 6, 64}), 0, 6, 64),
                    InvalidInput, "[w] shape is [0, 6, 64]");
  SKUA_EXPECT_ERROR(
      expert_matrices("w", dense({4, 6, 64}), 1 << 20, 1 << 12, 64),
      InvalidInput, "less than 2^31 rows");
  WeightMatrix quantised{mx::zeros({4, 6, 8}, mx::uint32),
                         mx::zeros({4, 6, 2}),
                         std::nullopt,
                         {"affine", 4, 32}};
  SKUA_EXPECT_ERROR(expert_matrices("w", quantised, 4, 6, 64), InvalidInput,
                    "[w.biases] is missing");
  quantised.biases = mx::zeros({4, 12, 1});
  SKUA_EXPECT_ERROR(expert_matrices("w", quantised, 4, 6, 64), InvalidInput,
                    "[w.biases] shape is [4, 12, 1]");
}

}  // namespace
}  // namespace skua
