#include "nn/shared_array.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cstring>
#include <numeric>

namespace skua {
namespace {

// Eight readable bytes before the numbers, as in a mapped file.
struct Memory {
  Memory() : values(10) { std::iota(values.begin(), values.end(), 0.0f); }
  const float* data() const { return values.data() + 2; }
  std::vector<float> values;
};

TEST(ShareArray, UsesTheMemoryInPlace) {
  const auto memory = std::make_shared<Memory>();
  const mx::array a = share_array(memory->data(), {2, 4}, mx::float32, memory);
  EXPECT_EQ(a.data<float>(), memory->data());
  EXPECT_EQ(a.shape(), (mx::Shape{2, 4}));
  EXPECT_EQ(mx::sum(a).item<float>(), 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9);
}

TEST(ShareArray, TheOwnerLivesAsLongAsTheLastReference) {
  auto memory = std::make_shared<Memory>();
  const std::weak_ptr<Memory> alive = memory;
  auto a = std::make_unique<mx::array>(
      share_array(memory->data(), {8}, mx::float32, memory));
  memory.reset();
  EXPECT_FALSE(alive.expired());
  auto row = std::make_unique<mx::array>(mx::slice(*a, {1}, {3}));
  row->eval();
  a.reset();
  EXPECT_FALSE(alive.expired()) << "a view still needs it";
  EXPECT_EQ(row->data<float>()[0], 3);
  row.reset();
  EXPECT_TRUE(alive.expired());
}

TEST(ShareArray, OperationsDoNotWriteIntoTheMemory) {
  const auto memory = std::make_shared<Memory>();
  {
    mx::array b = mx::add(share_array(memory->data(), {8}, mx::float32, memory),
                          mx::array(1.0f));
    b.eval();
    EXPECT_EQ(b.data<float>()[7], 10);
  }
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_EQ(memory->values[i], static_cast<float>(i));
}

TEST(ShareArray, CopiesMemoryThatIsNotAligned) {
  std::vector<char> bytes(64);
  const float want[3] = {1.5f, -2.0f, 3.25f};
  char* at = bytes.data() + 9;
  std::memcpy(at, want, sizeof want);
  auto owner = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = owner;
  const mx::array a = share_array(at, {3}, mx::float32, std::move(owner));
  EXPECT_TRUE(alive.expired()) << "a copy needs no owner";
  bytes.assign(64, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(a.data<float>()[i], want[i]);
}

}  // namespace
}  // namespace skua
