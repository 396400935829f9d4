#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace skua {

// Block layouts of ggml. Each has
//   kBytes, kValues   size of a block in the file and its values
//   kBits, kGroup     width of a code; values that share a scale
//   kZero             value = scale * (code - kZero), for symmetric layouts;
//                     the others have kZero 0 and value = scale * code + bias
//   unpack            codes [kValues], scales and biases [kValues / kGroup];
//                     biases are left alone where the layout is symmetric.
// Products of a half and a small integer scale are exact in float32.

inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
  const std::uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u)  // infinity or NaN
    return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ff) << 13);
  if (magnitude >= 0x0400u)
    return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
  const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
}

inline float load_half(const std::uint8_t* from) {
  std::uint16_t half;
  std::memcpy(&half, from, sizeof half);
  return half_to_float(half);
}

struct BlockQ4_0 {
  static constexpr int kBytes = 18, kValues = 32;
  static constexpr int kBits = 4, kGroup = 32, kZero = 8;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float*) {
    scales[0] = load_half(block);
    for (int i = 0; i < 16; ++i) codes[i] = block[2 + i] & 15;
    for (int i = 0; i < 16; ++i) codes[16 + i] = block[2 + i] >> 4;
  }
};

struct BlockQ4_1 {
  static constexpr int kBytes = 20, kValues = 32;
  static constexpr int kBits = 4, kGroup = 32, kZero = 0;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float* biases) {
    scales[0] = load_half(block);
    biases[0] = load_half(block + 2);
    for (int i = 0; i < 16; ++i) codes[i] = block[4 + i] & 15;
    for (int i = 0; i < 16; ++i) codes[16 + i] = block[4 + i] >> 4;
  }
};

// The codes of Q5_0 and Q5_1: bit 4 of code i is bit i of a 32-bit word.
inline void unpack_5_bits(const std::uint8_t* high, const std::uint8_t* low,
                          std::uint8_t* codes) {
  for (int i = 0; i < 16; ++i) {
    const int first = high[i / 8] >> (i % 8) & 1;
    const int second = high[2 + i / 8] >> (i % 8) & 1;
    codes[i] = static_cast<std::uint8_t>((low[i] & 15) | first << 4);
    codes[16 + i] = static_cast<std::uint8_t>(low[i] >> 4 | second << 4);
  }
}

struct BlockQ5_0 {
  static constexpr int kBytes = 22, kValues = 32;
  static constexpr int kBits = 5, kGroup = 32, kZero = 16;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float*) {
    scales[0] = load_half(block);
    unpack_5_bits(block + 2, block + 6, codes);
  }
};

struct BlockQ5_1 {
  static constexpr int kBytes = 24, kValues = 32;
  static constexpr int kBits = 5, kGroup = 32, kZero = 0;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float* biases) {
    scales[0] = load_half(block);
    biases[0] = load_half(block + 2);
    unpack_5_bits(block + 4, block + 8, codes);
  }
};

struct BlockQ8_0 {
  static constexpr int kBytes = 34, kValues = 32;
  static constexpr int kBits = 8, kGroup = 32, kZero = 128;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float*) {
    scales[0] = load_half(block);
    for (int i = 0; i < 32; ++i) codes[i] = block[2 + i] ^ 0x80;
  }
};

// Two bits of each byte give 32 codes, the next two bits the next 32.
inline void unpack_2_bits(const std::uint8_t* from, std::uint8_t* codes) {
  for (int half = 0; half < 2; ++half)
    for (int shift = 0; shift < 8; shift += 2)
      for (int i = 0; i < 32; ++i) *codes++ = from[32 * half + i] >> shift & 3;
}

struct BlockQ2_K {
  static constexpr int kBytes = 84, kValues = 256;
  static constexpr int kBits = 2, kGroup = 16, kZero = 0;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float* biases) {
    const float d = load_half(block + 80);
    const float d_min = load_half(block + 82);
    for (int i = 0; i < 16; ++i) {
      scales[i] = d * static_cast<float>(block[i] & 15);
      biases[i] = -(d_min * static_cast<float>(block[i] >> 4));
    }
    unpack_2_bits(block + 16, codes);
  }
};

struct BlockQ3_K {
  static constexpr int kBytes = 110, kValues = 256;
  static constexpr int kBits = 3, kGroup = 16, kZero = 4;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float*) {
    const std::uint8_t* high = block;
    const std::uint8_t* packed_scales = block + 96;
    const float d = load_half(block + 108);
    for (int i = 0; i < 16; ++i) {
      const int low_part = packed_scales[i % 8] >> (i / 8 * 4) & 15;
      const int high_part = packed_scales[8 + i % 4] >> (i / 4 * 2) & 3;
      scales[i] = d * static_cast<float>((low_part | high_part << 4) - 32);
    }
    unpack_2_bits(block + 32, codes);
    for (int group = 0; group < 8; ++group)
      for (int i = 0; i < 32; ++i)
        *codes++ |= static_cast<std::uint8_t>((high[i] >> group & 1) << 2);
  }
};

// Scales and minima of Q4_K and Q5_K: eight of each, 6 bits, in 12 bytes.
inline void unpack_scales_and_minima(const std::uint8_t* block, float* scales,
                                     float* biases) {
  const float d = load_half(block);
  const float d_min = load_half(block + 2);
  const std::uint8_t* s = block + 4;
  for (int i = 0; i < 4; ++i) {
    scales[i] = d * static_cast<float>(s[i] & 63);
    biases[i] = -(d_min * static_cast<float>(s[4 + i] & 63));
    const int scale = (s[8 + i] & 15) | (s[i] >> 6) << 4;
    const int minimum = s[8 + i] >> 4 | (s[4 + i] >> 6) << 4;
    scales[4 + i] = d * static_cast<float>(scale);
    biases[4 + i] = -(d_min * static_cast<float>(minimum));
  }
}

// 32 low nibbles, then the 32 high nibbles of the same bytes.
inline void unpack_nibbles(const std::uint8_t* from, std::uint8_t* codes) {
  for (int part = 0; part < 4; ++part) {
    for (int i = 0; i < 32; ++i)
      codes[64 * part + i] = from[32 * part + i] & 15;
    for (int i = 0; i < 32; ++i)
      codes[64 * part + 32 + i] = from[32 * part + i] >> 4;
  }
}

struct BlockQ4_K {
  static constexpr int kBytes = 144, kValues = 256;
  static constexpr int kBits = 4, kGroup = 32, kZero = 0;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float* biases) {
    unpack_scales_and_minima(block, scales, biases);
    unpack_nibbles(block + 16, codes);
  }
};

struct BlockQ5_K {
  static constexpr int kBytes = 176, kValues = 256;
  static constexpr int kBits = 5, kGroup = 32, kZero = 0;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float* biases) {
    const std::uint8_t* high = block + 16;
    unpack_scales_and_minima(block, scales, biases);
    unpack_nibbles(block + 48, codes);
    for (int group = 0; group < 8; ++group)
      for (int i = 0; i < 32; ++i)
        *codes++ |= static_cast<std::uint8_t>((high[i] >> group & 1) << 4);
  }
};

struct BlockQ6_K {
  static constexpr int kBytes = 210, kValues = 256;
  static constexpr int kBits = 6, kGroup = 16, kZero = 32;
  static void unpack(const std::uint8_t* block, std::uint8_t* codes,
                     float* scales, float*) {
    const float d = load_half(block + 208);
    for (int i = 0; i < 16; ++i)
      scales[i] =
          d * static_cast<float>(static_cast<std::int8_t>(block[192 + i]));
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* low = block + 64 * half;
      const std::uint8_t* high = block + 128 + 32 * half;
      for (int part = 0; part < 4; ++part) {
        for (int i = 0; i < 32; ++i) {
          const int nibble = low[part % 2 * 32 + i] >> (part / 2 * 4) & 15;
          const int top = high[i] >> (2 * part) & 3;
          *codes++ = static_cast<std::uint8_t>(nibble | top << 4);
        }
      }
    }
  }
};

}  // namespace skua
