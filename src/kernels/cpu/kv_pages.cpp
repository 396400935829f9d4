#include "kernels/cpu/kv_pages.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

namespace skua::cpu {
namespace {

struct F32 {
  using Stored = float;
  static float store(float x) { return x; }
  static float load(float x) { return x; }
};

struct Bf16 {
  using Stored = std::uint16_t;
  static std::uint16_t store(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    const std::uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    return static_cast<std::uint16_t>((is_nan ? bits | 0x400000 : rounded) >>
                                      16);
  }
  static float load(std::uint16_t x) {
    return std::bit_cast<float>(std::uint32_t{x} << 16);
  }
};

struct F16 {
  using Stored = std::uint16_t;
  static std::uint16_t store(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t sign = bits >> 16 & 0x8000;
    const std::uint32_t size = bits & 0x7fffffff;
    std::uint32_t half = 0;
    if (size >= 0x47800000) {  // 65536, infinite or no number
      half = size > 0x7f800000 ? 0x7e00 : 0x7c00;
    } else if (size < 0x38800000) {  // subnormal: the sum rounds it
      half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) -
             std::bit_cast<std::uint32_t>(0.5f);
    } else {
      half = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    }
    return static_cast<std::uint16_t>(sign | half);
  }
  static float load(std::uint16_t x) {
    const std::uint32_t sign = std::uint32_t{x} >> 15 << 31;
    const std::uint32_t size = x & 0x7fff;
    if (size >= 0x7c00)
      return std::bit_cast<float>(sign | 0x7f800000 | (size & 0x3ff) << 13);
    // 2^112 moves the exponent, of subnormal numbers too.
    const float value = std::bit_cast<float>(size << 13) * 0x1p112f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
  }
};

struct Int8 {
  using Stored = std::int8_t;
};

struct Int4 {
  using Stored = std::uint8_t;
  // Byte and shift of number i.
  static std::size_t byte(std::size_t i) { return i / kLane * 8 + i % 8; }
  static int shift(std::size_t i) { return i % kLane < 8 ? 0 : 4; }

  static void set(std::uint8_t* stored, std::size_t i, int code) {
    std::uint8_t& both = stored[byte(i)];
    both =
        static_cast<std::uint8_t>((both & 0xf0 >> shift(i)) | code << shift(i));
  }
  static int get(const std::uint8_t* stored, std::size_t i) {
    return stored[byte(i)] >> shift(i) & 15;
  }
};

// scale of n numbers, such that the largest becomes 127.
float scale_of(const float* x, std::size_t n) {
  float most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  return most / 127;
}

// Codes 0 to 15, from the least of n numbers to the largest.
template <class Place>
void write_int4(const float* x, std::size_t n, std::uint8_t* stored,
                float* scale, const Place& place) {
  float least = x[0], most = x[0];
  for (std::size_t i = 1; i < n; ++i) {
    least = std::min(least, x[i]);
    most = std::max(most, x[i]);
  }
  scale[0] = (most - least) / 15;
  scale[kPage] = least;
  const float inverse = scale[0] > 0 ? 1 / scale[0] : 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float code = std::nearbyint((x[i] - least) * inverse);
    // A number that is none must not reach the conversion.
    Int4::set(stored, place(i),
              code >= 0 && code <= 15 ? static_cast<int>(code) : 0);
  }
}

// One position: n numbers to out[place(i)], zeros up to n_padded.
template <class Type, class Place>
void write_row(const float* x, std::size_t n, std::size_t n_padded,
               std::byte* out, float* scale, const Place& place) {
  auto* stored = reinterpret_cast<typename Type::Stored*>(out);
  if constexpr (std::is_same_v<Type, Int8>) {
    *scale = scale_of(x, n);
    const float inverse = *scale > 0 ? 1 / *scale : 0;
    for (std::size_t i = 0; i < n; ++i) {
      const float code = std::nearbyint(x[i] * inverse);
      // A number that is none must not reach the conversion.
      stored[place(i)] =
          static_cast<std::int8_t>(code >= -127 && code <= 127 ? code : 0);
    }
  } else if constexpr (std::is_same_v<Type, Int4>) {
    for (std::size_t at = 0; at < n; at += kSection) {
      write_int4(x + at, std::min(kSection, n - at), stored,
                 scale + at / kSection * 2 * kPage,
                 [&](std::size_t i) { return place(at + i); });
    }
    for (std::size_t i = n; i < n_padded; ++i) Type::set(stored, place(i), 0);
    return;
  } else {
    for (std::size_t i = 0; i < n; ++i) stored[place(i)] = Type::store(x[i]);
  }
  for (std::size_t i = n; i < n_padded; ++i) stored[place(i)] = {};
}

float read_int4(const std::uint8_t* stored, std::size_t i, const float* scale) {
  return scale[0] * static_cast<float>(Int4::get(stored, i)) + scale[kPage];
}

template <class Type, class Place>
void read_row(const std::byte* in, const float* scale, std::size_t n, float* x,
              const Place& place) {
  const auto* stored = reinterpret_cast<const typename Type::Stored*>(in);
  for (std::size_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<Type, Int8>)
      x[i] = *scale * static_cast<float>(stored[place(i)]);
    else if constexpr (std::is_same_v<Type, Int4>)
      x[i] = read_int4(stored, place(i), scale + i / kSection * 2 * kPage);
    else
      x[i] = Type::load(stored[place(i)]);
  }
}

auto key_place(const KvShape& shape, std::size_t slot) {
  const std::size_t start = slot / kLane * shape.key_dim * kLane + slot % kLane;
  return [start](std::size_t i) { return start + i * kLane; };
}

auto value_place(std::size_t slot) {
  return [slot](std::size_t i) {
    return (i / kLane * kPage + slot) * kLane + i % kLane;
  };
}

template <class Body>
void with_type(KvType type, const Body& body) {
  switch (type) {
    case KvType::kF32:
      return body(F32());
    case KvType::kBf16:
      return body(Bf16());
    case KvType::kF16:
      return body(F16());
    case KvType::kInt8:
      return body(Int8());
    case KvType::kInt4:
      return body(Int4());
  }
}

}  // namespace

void write_rows(const KvShape& shape, const KvHead& head, std::size_t at,
                std::size_t n, const float* keys, std::size_t key_stride,
                const float* values, std::size_t value_stride) {
  with_type(shape.type, [&]<class Type>(Type) {
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t slot = at + r;
      write_row<Type>(keys + r * key_stride, shape.key_dim, shape.key_dim,
                      head.keys, head.key_scales + slot,
                      key_place(shape, slot));
      write_row<Type>(values + r * value_stride, shape.value_dim,
                      shape.n_strips() * kLane, head.values,
                      head.value_scales + slot, value_place(slot));
    }
  });
}

void read_rows(const KvShape& shape, const KvHead& head, std::size_t at,
               std::size_t n, float* keys, float* values) {
  with_type(shape.type, [&]<class Type>(Type) {
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t slot = at + r;
      read_row<Type>(head.keys, head.key_scales + slot, shape.key_dim,
                     keys + r * shape.key_dim, key_place(shape, slot));
      read_row<Type>(head.values, head.value_scales + slot, shape.value_dim,
                     values + r * shape.value_dim, value_place(slot));
    }
  });
}

}  // namespace skua::cpu
