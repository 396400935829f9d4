#pragma once

#include <gtest/gtest.h>
#define HWY_WANT_AVX3_DL  // as the kernels that use VNNI
#include <hwy/targets.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace skua::test {

namespace mx = mlx::core;

/** The numbers of an array of any float type and layout. */
inline std::vector<float> numbers(const mx::array& a) {
  mx::array f = mx::contiguous(mx::astype(a, mx::float32));
  f.eval();
  return {f.data<float>(), f.data<float>() + f.size()};
}

/** Normal numbers that depend on `seed` alone. */
inline mx::array normal(const mx::Shape& shape, std::uint64_t seed,
                        float scale = 1) {
  mx::array a =
      mx::random::normal(shape, mx::float32, 0, scale, mx::random::key(seed));
  a.eval();
  return a;
}

/** Largest |got - want| relative to `scale`; NaN counts as infinite. */
inline double worst(const std::vector<float>& got,
                    const std::vector<float>& want, double scale = 1) {
  if (got.size() != want.size()) return INFINITY;
  double most = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(double{got[i]} - double{want[i]}) / scale;
    most = std::isnan(d) ? INFINITY : std::max(most, d);
  }
  return most;
}

/** Calls body() for each instruction set that this CPU has a kernel for. */
template <class Body>
void on_every_target(const Body& body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace skua::test

/** Expects `statement` to throw `Kind` with a text that holds `part`. */
#define SKUA_EXPECT_ERROR(statement, Kind, part)                   \
  try {                                                            \
    statement;                                                     \
    ADD_FAILURE() << #statement << " throws nothing";              \
  } catch (const Kind& e) {                                        \
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) \
        << e.what();                                               \
  }
