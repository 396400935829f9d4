#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace skua::test {

/** Around whole vectors and blocks. */
constexpr std::size_t kSizes[] = {1,  2,    7,    15,   16,   17,  33,
                                  64, 1000, 1023, 1024, 1025, 5003};

inline std::vector<float> normal_floats(std::size_t n, float spread,
                                        unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> x(n);
  for (float& v : x) v = normal(engine);
  return x;
}

}  // namespace skua::test
