#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/bf16_panels.h"

namespace skua::test {

/** The nearest bfloat16. */
inline std::uint16_t nearest(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/** Decodes a part of weights number by number: what the kernels' decoders have
 *  to do with a unit, kUnitColumns of a row, at a time. */
class PlainBf16Decoder {
 public:
  explicit PlainBf16Decoder(const cpu::Bf16Part& part) : part_(part) {}

  template <int kEighth>
  void eighth() {
    if (kEighth == 7 && row_ < part_.rows.size()) decode_unit();
  }
  void finish(const cpu::Bf16Part&) {
    while (row_ < part_.rows.size()) decode_unit();
  }

 private:
  void decode_unit() {
    const std::size_t n = part_.columns.size();
    const std::size_t end = std::min(column_ + cpu::kUnitColumns, n);
    const bool whole = end - column_ == cpu::kUnitColumns;
    for (std::size_t i = column_; i < end; ++i) {
      const std::size_t at = i % cpu::kInterleaved;
      // Of a half column 4 t + j is number t of step j.
      const std::size_t place = whole && interleaves_columns(*part_.w)
                                    ? i - at + at % 4 * 32 + at / 4
                                    : i;
      part_.step(row_, place)[place % cpu::kBf16Step] = number(i);
    }
    column_ = end;
    if (column_ < n) return;
    column_ = 0;
    ++row_;
  }

  std::uint16_t number(std::size_t i) const {
    const cpu::MatrixView& w = *part_.w;
    const std::size_t c = part_.columns.begin + i;
    const std::uint8_t* values =
        w.values + (part_.rows.begin + row_) * w.row_bytes();
    if (w.encoding == cpu::Encoding::kDense) {
      std::uint16_t bits;
      std::memcpy(&bits, values + 2 * c, sizeof bits);
      return bits;
    }
    const std::size_t g =
        w.n_groups() * row_ + c / static_cast<std::size_t>(w.group_size);
    const float code =
        w.bits == 8 ? static_cast<float>(values[c])
                    : cpu::numbers_of_codes(w)[values[c / 2] >> c % 2 * 4 & 15];
    return nearest(std::fma(code, part_.scales[g], part_.biases[g]));
  }

  cpu::Bf16Part part_;
  std::size_t row_ = 0, column_ = 0;
};

struct PlainBf16Decoders {
  static void pairs(const float* a, const float* b, std::uint16_t* out) {
    for (std::size_t i = 0; i < cpu::kTileLanes; ++i) {
      out[2 * i] = nearest(a[i]);
      out[2 * i + 1] = nearest(b[i]);
    }
  }

  template <class Function>
  static void visit(const cpu::MatrixView&, const Function& f) {
    f.template operator()<PlainBf16Decoder>();
  }
};

}  // namespace skua::test
