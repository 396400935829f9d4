#include "nn/weight_arena.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "nn/weights.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

TEST(WeightArena, CopiesOutliveItAndKeepTheirNumbers) {
  // The second does not fit into what the first leaves of its chunk.
  const mx::array small = test::normal({7, 33}, 1);
  const mx::array large = test::normal({17 << 20}, 2);
  std::vector<mx::array> copies;
  {
    WeightArena arena;
    for (const mx::array& a : {small, large, small})
      copies.push_back(arena.copy(a));
    EXPECT_EQ(arena.n_bytes(), 2 * small.nbytes() + large.nbytes());
  }
  EXPECT_EQ(copies[0].shape(), small.shape());
  EXPECT_EQ(test::numbers(copies[0]), test::numbers(small));
  EXPECT_TRUE(mx::array_equal(copies[1], large).item<bool>());
  EXPECT_EQ(test::numbers(copies[2]), test::numbers(small));
  EXPECT_NE(copies[0].data<float>(), small.data<float>());
}

TEST(WeightArena, AskingForHugePagesChangesNoByte) {
  std::vector<std::byte> memory((std::size_t{5} << 20) + 3, std::byte{7});
  WeightArena::ask_for_huge_pages(std::span(memory).subspan(1));
  WeightArena::ask_for_huge_pages(std::span(memory).first(10));
  EXPECT_EQ(std::ranges::count(memory, std::byte{7}),
            static_cast<std::ptrdiff_t>(memory.size()));
}

TEST(WeightArena, WeightsMoveThereUnlessForbidden) {
  const mx::array tensor = test::normal({64, 64}, 1);
  const auto added = [&] {
    Weights weights("here", mx::float32);
    const bool copied = weights.add_mapped("w", tensor);
    EXPECT_EQ(test::numbers(weights.take("w")), test::numbers(tensor));
    return copied;
  };
  unsetenv("SKUA_HUGE_PAGES");
  EXPECT_EQ(added(), WeightArena::is_wanted());
  setenv("SKUA_HUGE_PAGES", "0", 1);
  EXPECT_FALSE(WeightArena::is_wanted());
  EXPECT_FALSE(added());
  setenv("SKUA_HUGE_PAGES", "yes", 1);
  SKUA_EXPECT_ERROR(added(), InvalidInput,
                    "[SKUA_HUGE_PAGES] is 'yes', expected 0 or 1");
  unsetenv("SKUA_HUGE_PAGES");
}

}  // namespace
}  // namespace skua
