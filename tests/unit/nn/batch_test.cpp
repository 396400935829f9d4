#include "nn/batch.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <vector>

namespace skua {
namespace {

std::vector<float> numbers(const mx::array& x) {
  const mx::array rows = mx::contiguous(x);
  mx::eval(rows);
  return {rows.data<float>(), rows.data<float>() + rows.size()};
}

class BatchRows : public testing::Test {
 protected:
  BatchRows() { batch_.add(0, 0, 3); }

  const mx::array x_{{0.f, 1.f, 10.f, 11.f, 20.f, 21.f}, {3, 2}};
  Batch batch_;
};

TEST_F(BatchRows, OutputRowsAreThoseWantedInTheirOrder) {
  batch_.output_rows = {2, 0};
  EXPECT_EQ(numbers(output_rows(x_, batch_)),
            (std::vector<float>{20, 21, 0, 1}));
  batch_.output_rows = {1};
  EXPECT_EQ(numbers(output_rows(x_, batch_)), (std::vector<float>{10, 11}));
  batch_.output_rows = {};
  EXPECT_EQ(output_rows(x_, batch_).shape(), (mx::Shape{0, 2}));
}

TEST_F(BatchRows, AllRowsInTheirOrderAreTheArrayItself) {
  batch_.output_rows = {0, 1, 2};
  EXPECT_EQ(output_rows(x_, batch_).id(), x_.id());
  batch_.output_rows = {1, 0, 2};
  EXPECT_EQ(numbers(output_rows(x_, batch_)),
            (std::vector<float>{10, 11, 0, 1, 20, 21}));
}

TEST_F(BatchRows, AResultHoldsAllRowsUnlessItIsOfOutputRows) {
  batch_.output_rows = {1};
  EXPECT_EQ(result_rows(x_, batch_).id(), x_.id());
  EXPECT_EQ(numbers(result_rows(x_, batch_.with_result(ResultRows::kOutput))),
            (std::vector<float>{10, 11}));
}

}  // namespace
}  // namespace skua
