#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "skua/kv_type.h"

namespace skua::cpu {

/** Positions of a page. Pages start at multiples of it, and so do the runs of
 *  keys over which attention sums: results do not depend on where a cache was
 *  cut into steps. */
inline constexpr std::size_t kPage = 256;
/** Keys, and columns of values, that lie side by side. */
inline constexpr std::size_t kLane = 16;
/** Numbers of a head's row that share a scale and a bias in int4. */
inline constexpr std::size_t kSection = 32;

inline bool is_quantized(KvType type) {
  return type == KvType::kInt8 || type == KvType::kInt4;
}

/** Memory of 256 positions for all key heads, which follow each other. Each
 *  has keys  [kPage / 16, key_dim, 16]  16 keys side by side
 *      values  [n_strips, kPage, 16]  strips of 16 columns, the last padded
 *  and for int8 [kPage] float32 scales behind its keys and behind its values.
 *  Those of int4 are [n_sections, 2, kPage]: a scale and a bias, the least
 *  number, for each 32 numbers of a row. Of 16 numbers that lie side by side,
 *  the first 8 are the low halves of 8 bytes, the others the high ones.
 *  So no sum over a dot product's vector is needed, any head size will do,
 *  and a page of one head is read from front to back. */
struct KvShape {
  KvType type = KvType::kF32;
  std::size_t n_kv_heads = 0;
  std::size_t key_dim = 0;
  std::size_t value_dim = 0;

  /** Bytes of n numbers, a multiple of 16. */
  std::size_t number_bytes(std::size_t n) const {
    if (type == KvType::kInt4) return n / 2;
    if (type == KvType::kInt8) return n;
    return n * (type == KvType::kF32 ? 4 : 2);
  }
  /** Of int8 and int4, behind the numbers of a head of `dim`. */
  std::size_t scale_bytes(std::size_t dim) const {
    if (type == KvType::kInt8) return kPage * sizeof(float);
    if (type != KvType::kInt4) return 0;
    return (dim + kSection - 1) / kSection * 2 * kPage * sizeof(float);
  }
  std::size_t n_strips() const { return (value_dim + kLane - 1) / kLane; }
  std::size_t key_bytes() const {
    return number_bytes(kPage * key_dim) + scale_bytes(key_dim);
  }
  std::size_t head_bytes() const {
    return key_bytes() + number_bytes(kPage * n_strips() * kLane) +
           scale_bytes(value_dim);
  }
  std::size_t page_bytes() const { return n_kv_heads * head_bytes(); }
};

/** One head of a page. */
struct KvHead {
  std::byte* keys;
  float* key_scales;  // of int8 and int4 alone
  std::byte* values;
  float* value_scales;
};

inline KvHead head_of(const KvShape& shape, std::byte* page, std::size_t head) {
  std::byte* keys = page + head * shape.head_bytes();
  std::byte* values = keys + shape.key_bytes();
  std::byte* end = keys + shape.head_bytes();
  return {keys,
          reinterpret_cast<float*>(values - shape.scale_bytes(shape.key_dim)),
          values,
          reinterpret_cast<float*>(end - shape.scale_bytes(shape.value_dim))};
}

/** Writes positions [at, at + n) of a head's page, rounded to nearest even.
 *  keys    n rows of key_dim numbers, `key_stride` apart
 *  values  n rows of value_dim numbers, `value_stride` apart */
void write_rows(const KvShape& shape, const KvHead& head, std::size_t at,
                std::size_t n, const float* keys, std::size_t key_stride,
                const float* values, std::size_t value_stride);

/** The opposite: keys [n, key_dim] and values [n, value_dim] as the kernels
 *  see them. */
void read_rows(const KvShape& shape, const KvHead& head, std::size_t at,
               std::size_t n, float* keys, float* values);

}  // namespace skua::cpu
