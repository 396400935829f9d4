#include "generate/random.h"

namespace skua {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

double philox_uniform(std::uint64_t seed, std::uint64_t step, Purpose purpose,
                      std::uint32_t sequence) {
  const auto bits = philox4x32(
      {static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32),
       static_cast<std::uint32_t>(purpose), sequence},
      {static_cast<std::uint32_t>(seed),
       static_cast<std::uint32_t>(seed >> 32)});
  const std::uint64_t wide = std::uint64_t{bits[0]} << 32 | bits[1];
  return (static_cast<double>(wide >> 11) + 0.5) * 0x1p-53;
}

}  // namespace skua
