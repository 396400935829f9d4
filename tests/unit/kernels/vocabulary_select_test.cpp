#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/cpu/vocabulary.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/kernels/vocabularies.h"

namespace skua {
namespace {

struct Selected {
  std::vector<float> x;
  std::vector<std::int32_t> ids;
  std::vector<float> more;
};

// Ids begin with 7.
Selected plain_select(const std::vector<float>& x,
                      const std::vector<float>& more, cpu::LogitRange range) {
  Selected out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] < range.least || x[i] >= range.below) continue;
    out.x.push_back(x[i]);
    out.ids.push_back(static_cast<std::int32_t>(i) + 7);
    out.more.push_back(more[i]);
  }
  return out;
}

void expect_selected(const cpu::Kept& kept, Selected got, const Selected& want,
                     bool with_more) {
  ASSERT_EQ(kept.n, want.ids.size());
  got.x.resize(kept.n);
  got.ids.resize(kept.n);
  got.more.resize(kept.n);
  EXPECT_EQ(got.x, want.x);
  EXPECT_EQ(got.ids, want.ids);
  if (with_more) {
    EXPECT_EQ(got.more, want.more);
  }
  const auto [least, most] = std::ranges::minmax_element(want.x);
  EXPECT_EQ(kept.least, kept.n == 0 ? INFINITY : *least);
  EXPECT_EQ(kept.most, kept.n == 0 ? -INFINITY : *most);
}

void check_select(std::size_t n, cpu::LogitRange range, bool with_more) {
  auto x = test::normal_floats(n, 1, 3);
  for (float& v : x) v = std::round(v * 4) / 4;
  if (n > 7) x[2] = -INFINITY;
  const auto more = test::normal_floats(n, 1, 4);
  const Selected want = plain_select(x, more, range);
  Selected got{std::vector<float>(n), std::vector<std::int32_t>(n),
               std::vector<float>(n)};
  const cpu::KeptColumns to{got.x.data(), got.ids.data(), got.more.data()};
  cpu::Kept kept = cpu::select(
      {.x = x.data(), .more = with_more ? more.data() : nullptr, .first_id = 7},
      n, range, to);
  expect_selected(kept, got, want, with_more);
  std::ranges::copy(x, got.x.begin());
  std::ranges::copy(more, got.more.begin());
  std::iota(got.ids.begin(), got.ids.end(), 7);
  kept =
      cpu::select({to.x, to.ids, with_more ? to.more : nullptr}, n, range, to);
  expect_selected(kept, got, want, with_more);
}

TEST(Select, CopiesTheRangeInOrderAlsoInPlaceOnEveryInstructionSet) {
  test::on_every_target([] {
    for (const std::size_t n : test::kSizes) {
      for (const cpu::LogitRange range :
           {cpu::LogitRange{-1, 1}, cpu::LogitRange{0, INFINITY},
            cpu::LogitRange{9, 10}, cpu::LogitRange{-2, -2},
            cpu::LogitRange{-3e38f, INFINITY}}) {
        for (const bool with_more : {false, true})
          check_select(n, range, with_more);
      }
    }
  });
}

}  // namespace
}  // namespace skua
