#include "nn/huge_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "nn/shared_array.h"
#include "nn/weights.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

/** A file of 40 MB with two weights in it. */
class HugePages : public testing::Test {
 protected:
  void SetUp() override {
    std::mt19937_64 random(1);
    numbers_.resize(std::size_t{5} << 20);
    std::ranges::generate(numbers_, random);
    const std::filesystem::path path = folder_.path() / "weights";
    write_file_atomic(path, {reinterpret_cast<const char*>(numbers_.data()),
                             numbers_.size() * 8});
    file_.emplace(path);
  }

  std::span<const std::byte> part(std::size_t begin, std::size_t size) const {
    return file_->bytes().subspan(begin, size);
  }
  // What a reader gets by now.
  static std::span<const std::byte> now(const MovingBytes& bytes,
                                        std::span<const std::byte> part) {
    return {bytes.now(part.data(), part.size()), part.size()};
  }

  test::TempDir folder_;
  std::vector<std::uint64_t> numbers_;
  std::optional<MappedFile> file_;
};

TEST_F(HugePages, AskingForThemChangesNoByte) {
  std::vector<std::byte> memory((std::size_t{5} << 20) + 3, std::byte{7});
  ask_for_huge_pages(std::span(memory).subspan(1));
  ask_for_huge_pages(std::span(memory).first(10));
  EXPECT_EQ(std::ranges::count(memory, std::byte{7}),
            static_cast<std::ptrdiff_t>(memory.size()));
}

TEST_F(HugePages, AreWantedUnlessForbidden) {
  setenv("SKUA_HUGE_PAGES", "0", 1);
  EXPECT_FALSE(wants_huge_pages());
  setenv("SKUA_HUGE_PAGES", "yes", 1);
  SKUA_EXPECT_ERROR(wants_huge_pages(), InvalidInput,
                    "[SKUA_HUGE_PAGES] is 'yes', expected 0 or 1");
  unsetenv("SKUA_HUGE_PAGES");
}

TEST_F(HugePages, WeightsKeepTheirBytesInTheirNewPlace) {
  const auto first = part(24, std::size_t{9} << 20);
  const auto second = part(std::size_t{30} << 20, 1000);
  WeightMover mover;
  const auto bytes = mover.add(*file_, first);
  ASSERT_NE(bytes, nullptr);
  EXPECT_EQ(mover.add(*file_, second), bytes);
  EXPECT_EQ(now(*bytes, first).data(), first.data());
  mover.start();
  mover.wait();
  EXPECT_EQ(mover.n_bytes_moved(), first.size() + second.size());
  for (const auto& weight : {first, second}) {
    const auto moved = now(*bytes, weight);
    EXPECT_NE(moved.data(), weight.data());
    EXPECT_TRUE(std::ranges::equal(moved, weight));
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(now(*bytes, first).data()) % 64,
            0u);
  // The memory of others, and what goes on after the last weight.
  const std::byte other{};
  EXPECT_EQ(bytes->now(&other, 1), &other);
  const auto after = part(std::size_t{31} << 20, 8);
  EXPECT_EQ(now(*bytes, after).data(), after.data());
}

TEST_F(HugePages, ReadersGetTheSameBytesWhileTheyMove) {
  for (int round = 0; round < 10; ++round) {
    WeightMover mover;
    std::shared_ptr<const MovingBytes> bytes;
    constexpr std::size_t kWeight = std::size_t{1} << 20;
    for (std::size_t i = 0; i < 40; ++i)
      bytes = mover.add(*file_, part(i * kWeight, kWeight));
    mover.start();
    const auto expected = std::as_bytes(std::span(numbers_));
    while (true) {
      const bool is_last = mover.n_bytes_moved() == 40 * kWeight;
      for (std::size_t i = 0; i < 40; i += 3) {
        const auto weight = now(*bytes, part(i * kWeight, kWeight));
        ASSERT_EQ(
            std::memcmp(weight.data(), expected.data() + i * kWeight, kWeight),
            0);
      }
      if (is_last) break;
    }
  }
}

TEST_F(HugePages, AMoverThatEndsEarlyLeavesTheRestInTheFile) {
  for (int round = 0; round < 20; ++round) {
    const auto weight = part(8, file_->bytes().size() - 8);
    std::shared_ptr<const MovingBytes> bytes;
    {
      WeightMover mover;
      bytes = mover.add(*file_, weight);
      mover.start();
    }
    const auto expected = std::as_bytes(std::span(numbers_)).subspan(8);
    ASSERT_TRUE(std::ranges::equal(now(*bytes, weight), expected));
  }
}

// A matrix of a checkpoint, as a layer takes it.
TEST_F(HugePages, AMatrixIsReadWhereItsBytesAre) {
  constexpr int kRows = 64, kCols = 512;
  constexpr std::size_t kBytes = std::size_t{kRows} * kCols * 2;
  const auto load = [&](Weights& weights) {
    const auto bytes = part(8, kBytes);
    weights.add_mapped(
        "a.weight",
        share_array(bytes.data(), {kRows, kCols}, mx::bfloat16, file_->owner()),
        *file_, bytes);
    return (weights.root() / "a").take_matrix(kRows, kCols);
  };
  const auto in_file = reinterpret_cast<const std::uint8_t*>(part(8, 1).data());
  Weights weights("here", mx::float32);
  const WeightMatrix w = load(weights);
  EXPECT_EQ(view(w).values, in_file);
  if (const auto mover = weights.take_mover()) {
    mover->start();
    mover->wait();
    EXPECT_NE(view(w).values, in_file);
    EXPECT_TRUE(std::equal(in_file, in_file + kBytes, view(w).values));
  }
  setenv("SKUA_HUGE_PAGES", "0", 1);
  Weights others("here", mx::float32);
  EXPECT_EQ(load(others).moving, nullptr);
  EXPECT_EQ(others.take_mover(), nullptr);
  unsetenv("SKUA_HUGE_PAGES");
}

}  // namespace
}  // namespace skua
