#include "nn/pace.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace skua {
namespace {

constexpr int kWidth = 1024, kLayers = 64;

// Bytes that `kLayers` layers of `rows` rows hold at most, in rows.
double most_rows_held(int rows) {
  mx::array x = mx::zeros({rows, kWidth}, mx::float32);
  mx::eval(x);
  mx::synchronize();
  const std::size_t before = mx::get_active_memory();
  mx::reset_peak_memory();
  Batch batch;
  batch.add(0, 0, rows);
  Pace pace(batch);
  for (int layer = 0; layer < kLayers; ++layer) {
    x = mx::cos(mx::sin(x)) + mx::sin(mx::cos(x));
    pace(x);
  }
  mx::eval(x);
  return static_cast<double>(mx::get_peak_memory() - before) /
         (sizeof(float) * kWidth);
}

// A layer here holds up to five results of its size at a time.
TEST(Pace, HoldsTheResultsOfTwoLayers) {
  constexpr int kRows = 64;
  EXPECT_LE(most_rows_held(kRows), 2 * 5 * kRows);
}

TEST(Pace, ChangesNoResult) {
  constexpr int kRows = 40;
  Batch batch;
  batch.add(0, 0, kRows);
  Pace pace(batch);
  mx::array x = mx::zeros({kRows, 8}, mx::float32);
  for (int layer = 0; layer < 5; ++layer) {
    x = x + 1;
    pace(x);
  }
  EXPECT_TRUE(mx::array_equal(x, mx::full({kRows, 8}, 5.0f)).item<bool>());
}

}  // namespace
}  // namespace skua
