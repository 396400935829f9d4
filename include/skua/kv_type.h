#pragma once

namespace skua {

/** How a cache stores keys and values. Sums are float32 whatever it is. */
enum class KvType {
  kF32,
  kBf16,
  kF16,
  kInt8,  // one scale for each head and token
  kInt4,  // a scale and a bias for each 32 numbers of a head and token
};

}  // namespace skua
