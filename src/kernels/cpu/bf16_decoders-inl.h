// Decoders of Bf16Part with AVX-512: its instructions are few and independent,
// to stand between those of tiles, which leave the vector units idle.
#pragma once

#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/bf16_panels.h"

namespace skua::cpu {

/** Where a decoder stands in a part. It takes kUnitColumns columns of a row at
 *  a time, of all rows before the next columns. */
class Bf16Units {
 public:
  explicit Bf16Units(const Bf16Part& part)
      : n_rows_(part.rows.size()),
        n_left_(part.columns.size() / kUnitColumns * n_rows_),
        left_in_block_(n_rows_),
        to_next_part_(part.to_next) {
    if (n_left_ == 0) return;
    const MatrixView& w = *part.w;
    const auto bits = static_cast<std::size_t>(w.bits);
    values_ = w.values + part.rows.begin * w.row_bytes() +
              part.columns.begin * bits / 8;
    row_bytes_ = w.row_bytes();
    unit_bytes_ = kUnitColumns * bits / 8;
    out_ = part.out;
    if (w.encoding == Encoding::kDense) return;
    const auto group_size = static_cast<std::size_t>(w.group_size);
    scales_ = part.scales + part.columns.begin / group_size;
    to_biases_ = part.biases - part.scales;
    n_groups_ = w.n_groups();
    unit_groups_ = kUnitColumns / group_size;
  }

  SKUA_INLINE_TARGET bool done() const { return n_left_ == 0; }
  SKUA_INLINE_TARGET const std::uint8_t* values() const { return values_; }
  SKUA_INLINE_TARGET const float* scales() const { return scales_; }
  SKUA_INLINE_TARGET const float* biases() const {
    return scales_ + to_biases_;
  }
  /** Of step i of the unit. */
  SKUA_INLINE_TARGET std::uint16_t* out(std::size_t i) const {
    return out_ + i * Bf16Part::kStepNumbers;
  }

  /** Brings what is decoded after this part into the cache. */
  SKUA_INLINE_TARGET void fetch(std::size_t at) const {
    __builtin_prefetch(values_ + to_next_part_ + at, 0, 2);
  }

  SKUA_INLINE_TARGET void next() {
    values_ += row_bytes_;
    scales_ += n_groups_;
    out_ += kBf16Step;
    --n_left_;
    if (--left_in_block_ == 0) next_block();
  }

 private:
  SKUA_INLINE_TARGET void next_block() {
    left_in_block_ = n_rows_;
    values_ -= n_rows_ * row_bytes_;
    values_ += unit_bytes_;
    scales_ -= n_rows_ * n_groups_;
    scales_ += unit_groups_;
    out_ += kUnitColumns / kBf16Step * Bf16Part::kStepNumbers;
    out_ -= n_rows_ * kBf16Step;
  }

  std::size_t n_rows_, n_left_, left_in_block_;
  std::ptrdiff_t to_next_part_;
  const std::uint8_t* values_ = nullptr;
  std::size_t row_bytes_ = 0, unit_bytes_ = 0;
  const float* scales_ = nullptr;
  std::ptrdiff_t to_biases_ = 0;
  std::size_t n_groups_ = 0, unit_groups_ = 0;
  std::uint16_t* out_ = nullptr;
};

// AVX-512 has one instruction that rounds two vectors.
SKUA_INLINE_TARGET inline __m512i round_two_bf16(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/** Codes of 4 bits in kGroups groups to each 128 columns. A word of the weights
 *  holds four columns; its nibbles are looked up in the tables of the groups.
 */
template <int kGroups>
class NibbleBf16Decoder {
 public:
  SKUA_TILE_TARGET explicit NibbleBf16Decoder(const Bf16Part& part)
      : units_(part) {
    if (part.w == nullptr) return;
    codes_ = _mm512_loadu_ps(numbers_of_codes(*part.w));
    offsets_ = group_offsets();
  }

  template <int kEighth>
  SKUA_INLINE_TARGET void eighth() {
    if (units_.done()) return;
    constexpr std::size_t kHalf = kEighth / 4;
    constexpr int kStep = kEighth % 4;
    if constexpr (kStep == 0) {
      words_ = _mm512_loadu_si512(units_.values() + kHalf * kHalfBytes);
      table_ = table_of(kHalf * kGroups, kGroups == 1 ? 0 : 1);
      if constexpr (kGroups == 4) upper_ = table_of(kHalf * kGroups + 2, 1);
    }
    if constexpr (kStep == 0) {
      even_ = places_of(words_);
      odd_ = places_of(_mm512_srli_epi16(words_, 4));
    }
    const __m512i both = kStep % 2 == 0 ? even_ : odd_;
    const __m512i at = kStep < 2 ? both : _mm512_srli_epi16(both, 8);
    __m512i numbers;
    if constexpr (kGroups == 4)
      numbers = _mm512_permutex2var_epi16(table_, at, upper_);
    else
      numbers = _mm512_permutexvar_epi16(at, table_);
    _mm512_storeu_si512(units_.out(kEighth), numbers);
    if constexpr (kStep == 1) units_.fetch(kHalf * kHalfBytes);
    if constexpr (kEighth == 7) units_.next();
  }

  SKUA_TILE_TARGET void finish(const Bf16Part& part) {
    while (!units_.done()) decode_unit(*this);
    if (part.columns.size() % kUnitColumns != 0) finish_rows(part);
  }

 private:
  static constexpr std::size_t kHalfBytes = kInterleaved / 2;

  // Where the tables of each byte's group begin.
  SKUA_TILE_TARGET static __m512i group_offsets() {
    __m512i offsets = _mm512_setzero_si512();
    if constexpr (kGroups == 2) {
      offsets = _mm512_mask_set1_epi16(offsets, 0xffff0000u, 0x1010);
    } else if constexpr (kGroups == 4) {
      offsets = _mm512_mask_set1_epi16(offsets, 0x0000ff00u, 0x1010);
      offsets = _mm512_mask_set1_epi16(offsets, 0x00ff0000u, 0x2020);
      offsets = _mm512_mask_set1_epi16(offsets, 0xff000000u, 0x3030);
    }
    return offsets;
  }

  // The lower half of each byte becomes a place in the tables. A permutation
  // reads no more bits of a word than the lowest.
  SKUA_INLINE_TARGET __m512i places_of(__m512i words) const {
    // (words & 15) | offsets
    return _mm512_ternarylogic_epi32(words, _mm512_set1_epi8(15), offsets_,
                                     0xea);
  }

  // What the codes of a group and of the one `more` after it stand for.
  SKUA_INLINE_TARGET __m512i table_of(std::size_t group, std::size_t more) {
    const float* scales = units_.scales() + group;
    const float* biases = units_.biases() + group;
    return round_two_bf16(_mm512_fmadd_ps(codes_, _mm512_set1_ps(scales[0]),
                                          _mm512_set1_ps(biases[0])),
                          _mm512_fmadd_ps(codes_, _mm512_set1_ps(scales[more]),
                                          _mm512_set1_ps(biases[more])));
  }

  // Columns after the last whole unit, in their own order.
  SKUA_TILE_TARGET void finish_rows(const Bf16Part& part) {
    const MatrixView& w = *part.w;
    const std::size_t n_groups = w.n_groups();
    const auto group_size = static_cast<std::size_t>(w.group_size);
    const std::size_t first = part.columns.size() / kUnitColumns * kUnitColumns;
    for (std::size_t r = 0; r < part.rows.size(); ++r) {
      const std::uint8_t* values =
          w.values + (part.rows.begin + r) * w.row_bytes();
      const float* scales = part.scales + n_groups * r;
      const float* biases = part.biases + n_groups * r;
      for (std::size_t i = first; i < part.columns.size(); i += kBf16Step) {
        const std::size_t c = part.columns.begin + i;
        const std::size_t g = c / group_size;
        const __m512 numbers = _mm512_fmadd_ps(
            codes_, _mm512_set1_ps(scales[g]), _mm512_set1_ps(biases[g]));
        const __m512i pairs = _mm512_cvtepu8_epi32(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + c / 2)));
        const __m512i at = _mm512_and_si512(
            _mm512_or_si512(pairs, _mm512_slli_epi32(pairs, 12)),
            _mm512_set1_epi16(15));
        _mm512_storeu_si512(
            part.step(r, i),
            _mm512_permutexvar_epi16(at, round_two_bf16(numbers, numbers)));
      }
    }
  }

  Bf16Units units_;
  __m512 codes_;
  __m512i offsets_, words_, even_, odd_, table_, upper_;
};

/** Codes of 8 bits. */
struct ByteBf16Step {
  /** 32 numbers of one group. */
  SKUA_INLINE_TARGET static __m512i decode(const std::uint8_t* values,
                                           const float* scale,
                                           const float* bias) {
    return round_two_bf16(
        half(values, _mm512_set1_ps(*scale), _mm512_set1_ps(*bias)),
        half(values + 16, _mm512_set1_ps(*scale), _mm512_set1_ps(*bias)));
  }

 private:
  SKUA_INLINE_TARGET static __m512 half(const std::uint8_t* values,
                                        __m512 scale, __m512 bias) {
    const __m128i bytes =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)),
                           scale, bias);
  }
};

/** Weights that are bfloat16 already. */
struct DenseBf16Step {
  SKUA_INLINE_TARGET static __m512i decode(const std::uint8_t* values,
                                           const float*, const float*) {
    return _mm512_loadu_si512(values);
  }
};

/** Columns in their own order. */
template <class Step>
class StepBf16Decoder {
 public:
  SKUA_TILE_TARGET explicit StepBf16Decoder(const Bf16Part& part)
      : units_(part) {
    if (part.w == nullptr) return;
    step_bytes_ = kBf16Step * static_cast<std::size_t>(part.w->bits) / 8;
    if (part.w->encoding == Encoding::kDense) return;
    n_groups_ = part.w->n_groups();
    // Of 32, 64 or 128 columns.
    group_shift_ = part.w->group_size == 32 ? 0 : part.w->group_size / 64;
  }

  template <int kEighth>
  SKUA_INLINE_TARGET void eighth() {
    if (units_.done()) return;
    const std::uint8_t* values = units_.values() + kEighth * step_bytes_;
    _mm512_storeu_si512(
        units_.out(kEighth),
        Step::decode(values, units_.scales() + (kEighth >> group_shift_),
                     units_.biases() + (kEighth >> group_shift_)));
    units_.fetch(kEighth * step_bytes_);
    if constexpr (kEighth == 7) units_.next();
  }

  SKUA_TILE_TARGET void finish(const Bf16Part& part) {
    while (!units_.done()) decode_unit(*this);
    const std::size_t first = part.columns.size() / kUnitColumns * kUnitColumns;
    for (std::size_t i = first; i < part.columns.size(); i += kBf16Step) {
      const std::size_t step = (part.columns.begin + i) / kBf16Step;
      const std::size_t group = step >> group_shift_;
      for (std::size_t r = 0; r < part.rows.size(); ++r) {
        const std::uint8_t* values =
            part.w->values + (part.rows.begin + r) * part.w->row_bytes();
        _mm512_storeu_si512(part.step(r, i),
                            Step::decode(values + step * step_bytes_,
                                         part.scales + n_groups_ * r + group,
                                         part.biases + n_groups_ * r + group));
      }
    }
  }

 private:
  Bf16Units units_;
  std::size_t step_bytes_ = 0, n_groups_ = 0;
  int group_shift_ = 31;  // from a step to its group; without any it is 0
};

}  // namespace skua::cpu
