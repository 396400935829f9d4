#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cpu/linear_input.h"
#include "tests/unit/kernels/matrices.h"

namespace skua::test {

inline std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/** A matrix whose products may be rounded. */
inline WeightMatrix rounded_matrix(const MatrixKind& kind, int n, int k) {
  WeightMatrix w = make_matrix(kind, n, k, 11);
  w.precision = Precision::kDefault;
  return w;
}

/** All rows of w times the first tokens of `input`, [n_tokens, rows]. */
inline std::vector<float> product(const cpu::LinearInput& input,
                                  const WeightMatrix& w, std::size_t n_tokens) {
  std::vector<float> y(n_tokens * size(w.rows()), -1);
  input.multiply(view(w), {0, size(w.rows())}, {0, n_tokens}, y.data(),
                 size(w.rows()));
  return y;
}

/** Expects a part of the rows and tokens to have the bits of the whole.
 *  w  130 rows */
inline void expect_part_of_whole(const cpu::LinearInput& input,
                                 const WeightMatrix& w, std::size_t n_tokens,
                                 cpu::Range tokens) {
  const cpu::Range rows{3, 101};
  const auto all = product(input, w, n_tokens);
  std::vector<float> part(tokens.size() * 100, -1);
  input.multiply(view(w), rows, tokens, part.data(), 100);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    for (std::size_t r = 0; r < 100; ++r) {
      const float want =
          r < rows.size() ? all[(tokens.begin + t) * 130 + rows.begin + r] : -1;
      ASSERT_EQ(part[t * 100 + r], want) << t << ", " << r;
    }
  }
}

}  // namespace skua::test
