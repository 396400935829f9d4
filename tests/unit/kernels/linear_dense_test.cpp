#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "kernels/cpu/linear.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using test::make_matrix;
using test::MatrixKind;
using test::normal;
using test::numbers;

/** Bytes behind which, after `gap` more, no memory can be read. */
class GuardedBytes {
 public:
  GuardedBytes(const void* bytes, std::size_t n, std::size_t gap) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t room = (n + gap + page - 1) / page * page;
    n_mapped_ = room + page;
    void* mapped = mmap(nullptr, n_mapped_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    mapped_ = static_cast<std::uint8_t*>(mapped);
    data_ = mapped_ + room - gap - n;
    std::memcpy(data_, bytes, n);
    if (mprotect(mapped_ + room, page, PROT_NONE) != 0) throw std::bad_alloc();
  }
  ~GuardedBytes() { munmap(mapped_, n_mapped_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  const std::uint8_t* data() const { return data_; }

 private:
  std::uint8_t* mapped_;
  std::uint8_t* data_;
  std::size_t n_mapped_;
};

std::vector<float> multiply(const cpu::MatrixView& w,
                            const std::vector<float>& x, std::size_t n_tokens) {
  std::vector<float> y(n_tokens * w.n_rows, NAN);
  const cpu::LinearJob job{w, y.data()};
  cpu::linear({&job, 1}, x.data(), n_tokens);
  return y;
}

class DenseLinear : public testing::TestWithParam<mx::Dtype> {
 protected:
  WeightMatrix matrix(int n, int k) const {
    return make_matrix({"dense", 0, 0, GetParam()}, n, k, 10 + n);
  }
};

struct Sum {
  double value = 0;
  double size = 0;  // of the terms
};

// [n_tokens, n_rows]
std::vector<Sum> exact_sums(const std::vector<float>& w,
                            const std::vector<float>& x, std::size_t n_cols) {
  std::vector<Sum> sums;
  for (std::size_t t = 0; t < x.size(); t += n_cols) {
    for (std::size_t r = 0; r < w.size(); r += n_cols) {
      Sum sum;
      for (std::size_t c = 0; c < n_cols; ++c) {
        const double term = double{x[t + c]} * w[r + c];
        sum.value += term;
        sum.size += std::abs(term);
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

TEST_P(DenseLinear, OnEveryInstructionSetEqualsTheExactSumAndReadsNoFurther) {
  for (const int k : {1, 7, 48, 80, 129, 2048 + 24}) {
    for (const int n : {1, 7, 65, 130}) {
      const WeightMatrix w = matrix(n, k);
      const auto xs = numbers(normal({140, k}, 7));
      const auto want =
          exact_sums(numbers(w.weight), xs, static_cast<std::size_t>(k));
      // Odd addresses too.
      for (const std::size_t gap : {0, 1}) {
        cpu::MatrixView v = view(w);
        const GuardedBytes bytes(v.values, v.n_rows * v.row_bytes(), gap);
        v.values = bytes.data();
        test::on_every_target([&] {
          const auto all = multiply(v, xs, 140);
          for (std::size_t i = 0; i < all.size(); ++i) {
            ASSERT_NEAR(all[i], want[i].value, 3e-7 * want[i].size)
                << n << " x " << k << ", token " << i / v.n_rows;
          }
          for (const std::size_t n_tokens :
               {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 33, 70, 128}) {
            const auto some = multiply(v, xs, n_tokens);
            ASSERT_EQ(std::memcmp(some.data(), all.data(),
                                  some.size() * sizeof(float)),
                      0)
                << n << " x " << k << ", T " << n_tokens;
          }
        });
      }
    }
  }
}

TEST_P(DenseLinear, WhatIsNotFiniteComesOutAsOfAnySum) {
  constexpr std::size_t kRows = 7, kCols = 129, kTokens = 14;
  const WeightMatrix w = matrix(kRows, kCols);
  cpu::MatrixView v = view(w);
  std::vector<std::uint8_t> bytes(v.values, v.values + kRows * v.row_bytes());
  v.values = bytes.data();
  const auto inf = numbers(mx::astype(mx::array(INFINITY), GetParam()));
  ASSERT_EQ(inf[0], INFINITY);
  const mx::array bad = mx::astype(mx::array(-INFINITY), GetParam());
  mx::eval(bad);
  // The last number of row 2.
  const std::size_t size = v.row_bytes() / kCols;
  std::memcpy(bytes.data() + 3 * v.row_bytes() - size, bad.data<void>(), size);
  auto ws = numbers(w.weight);
  ws[3 * kCols - 1] = -INFINITY;
  auto xs = numbers(normal({kTokens, kCols}, 7));
  xs[kCols - 1] = INFINITY;
  xs[1 * kCols + 5] = -INFINITY;
  xs[3 * kCols + 5] = NAN;
  const auto want = exact_sums(ws, xs, kCols);
  test::on_every_target([&] {
    for (const std::size_t n_tokens : {4, 14}) {
      const auto y = multiply(v, xs, n_tokens);
      for (std::size_t i = 0; i < y.size(); ++i) {
        if (std::isnan(want[i].value))
          EXPECT_TRUE(std::isnan(y[i])) << i;
        else if (std::isinf(want[i].value))
          EXPECT_EQ(y[i], want[i].value) << i;
        else
          EXPECT_NEAR(y[i], want[i].value, 3e-7 * want[i].size) << i;
      }
    }
  });
}

// One token picks each column.
TEST_P(DenseLinear, TakesEveryFiniteHalfPrecisionNumberAsItIs) {
  constexpr std::size_t kRows = 1024, kCols = 64;
  std::vector<std::uint16_t> codes(kRows * kCols);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::uint16_t exponent = GetParam() == mx::float16 ? 0x7c00 : 0x7f80;
    codes[i] = static_cast<std::uint16_t>(i);
    if ((codes[i] & exponent) == exponent) codes[i] = 0;
  }
  const mx::array whole =
      mx::array(codes.data(), {int(kRows), int(kCols)}, mx::uint16);
  mx::array typed = GetParam() == mx::float32
                        ? mx::astype(mx::view(whole, mx::bfloat16), mx::float32)
                        : mx::view(whole, GetParam());
  typed = mx::contiguous(typed);
  typed.eval();
  const WeightMatrix w{typed, std::nullopt, std::nullopt, {}};
  const auto want = numbers(typed);
  std::vector<float> ones(kCols * kCols);
  for (std::size_t i = 0; i < kCols; ++i) ones[i * kCols + i] = 1;
  test::on_every_target([&] {
    for (const std::size_t n_tokens : {5, 64}) {
      const auto y = multiply(view(w), ones, n_tokens);
      for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_EQ(y[i], want[i % kRows * kCols + i / kRows]) << i;
    }
  });
}

std::string type_name(const testing::TestParamInfo<mx::Dtype>& info) {
  return MatrixKind{"dense", 0, 0, info.param}.name();
}

INSTANTIATE_TEST_SUITE_P(Types, DenseLinear,
                         testing::Values(mx::float32, mx::float16,
                                         mx::bfloat16),
                         type_name);

}  // namespace
}  // namespace skua
