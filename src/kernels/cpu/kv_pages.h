#pragma once

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

/** Memory of 256 positions for all key heads, which follow each other. Each
 *  has keys  [kPage / 16, key_dim, 16]  16 keys side by side
 *      values  [n_strips, kPage, 16]  strips of 16 columns, the last padded
 *  and for int8 [kPage] float32 scales behind its keys and behind its values.
 *  So no sum over a dot product's vector is needed, any head size will do,
 *  and a page of one head is read from front to back. */
struct KvShape {
  KvType type = KvType::kF32;
  std::size_t n_kv_heads = 0;
  std::size_t key_dim = 0;
  std::size_t value_dim = 0;

  std::size_t element_bytes() const {
    if (type == KvType::kInt8) return 1;
    return type == KvType::kF32 ? 4 : 2;
  }
  std::size_t scale_bytes() const {
    return type == KvType::kInt8 ? kPage * sizeof(float) : 0;
  }
  std::size_t n_strips() const { return (value_dim + kLane - 1) / kLane; }
  std::size_t key_bytes() const {
    return kPage * key_dim * element_bytes() + scale_bytes();
  }
  std::size_t head_bytes() const {
    return key_bytes() + kPage * n_strips() * kLane * element_bytes() +
           scale_bytes();
  }
  std::size_t page_bytes() const { return n_kv_heads * head_bytes(); }
};

/** One head of a page. */
struct KvHead {
  std::byte* keys;
  float* key_scales;  // of int8 alone
  std::byte* values;
  float* value_scales;
};

inline KvHead head_of(const KvShape& shape, std::byte* page, std::size_t head) {
  std::byte* keys = page + head * shape.head_bytes();
  std::byte* values = keys + shape.key_bytes();
  return {keys, reinterpret_cast<float*>(values - shape.scale_bytes()), values,
          reinterpret_cast<float*>(keys + shape.head_bytes() -
                                   shape.scale_bytes())};
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
