#include "base/cpu_level.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/elementwise.h"
#include "skua/error.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(CpuLevel, IsNamedByTheEnvironment) {
  const std::vector<CpuLevel> levels = {CpuLevel::kScalar, CpuLevel::kAvx2,
                                        CpuLevel::kAvx512};
  for (const CpuLevel level : levels)
    EXPECT_EQ(parse_cpu_level(cpu_level_name(level), levels), level);
  for (const char* name : {"", "amx", "AVX2", "avx", "avx2 ", "neon"}) {
    try {
      parse_cpu_level(name, levels);
      ADD_FAILURE() << "accepted " << name;
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("scalar, avx2, avx512"));
    }
  }
}

TEST(CpuLevel, LowerOnesHaveFewerFeatures) {
  CpuFeatures all;
  all.avx_vnni = all.avx512_vnni = all.avx512_bf16 = all.amx_bf16 = true;
  const auto names = [&](CpuLevel level) {
    return feature_names(features_of_level(all, level));
  };
  EXPECT_THAT(names(CpuLevel::kAmx), ElementsAre("avx_vnni", "avx512_vnni",
                                                 "avx512_bf16", "amx_bf16"));
  EXPECT_THAT(names(CpuLevel::kAvx512),
              ElementsAre("avx_vnni", "avx512_vnni", "avx512_bf16"));
  EXPECT_THAT(names(CpuLevel::kAvx2), ElementsAre("avx_vnni"));
  EXPECT_TRUE(names(CpuLevel::kScalar).empty());
}

TEST(CpuLevel, HighwayRunsTheCodeOfTheLevel) {
  const std::string target = highway_target();
  switch (cpu_level()) {
    case CpuLevel::kScalar:
      EXPECT_TRUE(target == "SCALAR" || target == "EMU128" ||
                  std::getenv("SKUA_CPU") == nullptr)
          << target;
      break;
    case CpuLevel::kAvx2:
      EXPECT_EQ(target, "AVX2");
      break;
    case CpuLevel::kAvx512:
    case CpuLevel::kAmx:
      EXPECT_THAT(target, testing::StartsWith("AVX3"));
      break;
    case CpuLevel::kNeon:
      EXPECT_TRUE(target.starts_with("NEON") || target.starts_with("SVE"));
  }
}

// The level is read at program start: each needs a process of its own.
TEST(CpuLevel, EveryOneAtHandCanBeForced) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const char* before = std::getenv("SKUA_CPU");
  const std::string old = before == nullptr ? "" : before;
  for (const CpuLevel level : cpu_levels_at_hand()) {
    setenv("SKUA_CPU", std::string(cpu_level_name(level)).c_str(), 1);
    EXPECT_EXIT(std::_Exit(cpu_level() == level ? 0 : 1),
                testing::ExitedWithCode(0), "");
  }
  before == nullptr ? unsetenv("SKUA_CPU") : setenv("SKUA_CPU", old.c_str(), 1);
}

TEST(CpuLevel, AnUnknownOneIsRefusedWhenAKernelIsBuilt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const char* before = std::getenv("SKUA_CPU");
  const std::string old = before == nullptr ? "" : before;
  setenv("SKUA_CPU", "avx3", 1);
  EXPECT_EXIT(
      try {
        rms_norm(test::normal({1, 8}, 1), test::normal({8}, 2), 1e-5f);
      } catch (const InvalidInput&) { std::_Exit(3); },
      testing::ExitedWithCode(3), "");
  before == nullptr ? unsetenv("SKUA_CPU") : setenv("SKUA_CPU", old.c_str(), 1);
}

}  // namespace
}  // namespace skua
