#pragma once

#include <array>
#include <cstring>
#include <stdexcept>

#include "kernels/cpu/tiles-inl.h"

namespace skua::test {

/** AMX's tiles in plain C++, one set per thread, as "Intel Architecture
 *  Instruction Set Extensions" defines their instructions. Throws
 *  std::logic_error where those fault. */
class EmulatedTiles {
 public:
  static void configure(const cpu::TileConfig& config) {
    expect(config.palette == 1 && config.start_row == 0, "palette");
    for (int i = 0; i < 16; ++i) {
      const bool used = i < 8;
      expect(config.rows[i] <= (used ? 16 : 0), "rows");
      expect(config.row_bytes[i] <= (used ? 64 : 0), "bytes of a row");
    }
    tiles() = {};
    for (std::size_t i = 0; i < 8; ++i)
      tiles()[i] = {config.rows[i], config.row_bytes[i], {}};
  }
  static void release() { tiles() = {}; }

  /** True if this thread's tiles are as before any configure(). */
  static bool released() {
    for (const Tile& tile : tiles())
      if (tile.rows != 0 || tile.row_bytes != 0) return false;
    return true;
  }

  template <int kTile>
  static void zero() {
    tile<kTile>().bytes = {};
  }

  template <int kTile>
  static void load(const void* at, std::size_t stride) {
    Tile& t = tile<kTile>();
    t.bytes = {};
    for (std::size_t r = 0; r < t.rows; ++r) {
      std::memcpy(t.row(r), static_cast<const std::byte*>(at) + r * stride,
                  t.row_bytes);
    }
  }

  template <int kTile>
  static void load_once(const void* at, std::size_t stride) {
    load<kTile>(at, stride);
  }

  template <int kTile>
  static void store(void* at, std::size_t stride) {
    Tile& t = tile<kTile>();
    for (std::size_t r = 0; r < t.rows; ++r) {
      std::memcpy(static_cast<std::byte*>(at) + r * stride, t.row(r),
                  t.row_bytes);
    }
  }

  template <int kSums, int kA, int kB>
  static void multiply() {
    Tile &sums = tile<kSums>(), &a = tile<kA>(), &b = tile<kB>();
    expect_shapes(sums, a, b);
    for (std::size_t m = 0; m < sums.rows; ++m) {
      for (std::size_t n = 0; n < sums.row_bytes / 4; ++n) {
        std::int32_t sum = 0;
        std::memcpy(&sum, sums.row(m) + 4 * n, 4);
        for (std::size_t k = 0; k < a.row_bytes; ++k) {
          const auto signed_byte = static_cast<std::int8_t>(a.row(m)[k]);
          sum += signed_byte * std::int32_t{b.row(k / 4)[4 * n + k % 4]};
        }
        std::memcpy(sums.row(m) + 4 * n, &sum, 4);
      }
    }
  }

  // Pair by pair, without the instruction's flushing of denormals.
  template <int kSums, int kA, int kB>
  static void multiply_bf16() {
    Tile &sums = tile<kSums>(), &a = tile<kA>(), &b = tile<kB>();
    expect_shapes(sums, a, b);
    for (std::size_t m = 0; m < sums.rows; ++m) {
      for (std::size_t n = 0; n < sums.row_bytes / 4; ++n) {
        float sum = 0;
        std::memcpy(&sum, sums.row(m) + 4 * n, 4);
        for (std::size_t k = 0; k < a.row_bytes / 2; ++k)
          sum +=
              bf16(a.row(m) + 2 * k) * bf16(b.row(k / 2) + 4 * n + k % 2 * 2);
        std::memcpy(sums.row(m) + 4 * n, &sum, 4);
      }
    }
  }

 private:
  struct Tile {
    std::size_t rows = 0, row_bytes = 0;
    std::array<std::uint8_t, 16 * 64> bytes = {};
    std::uint8_t* row(std::size_t r) { return bytes.data() + r * 64; }
  };

  static float bf16(const std::uint8_t* at) {
    std::uint8_t bytes[4] = {0, 0, at[0], at[1]};
    float number = 0;
    std::memcpy(&number, bytes, 4);
    return number;
  }

  static void expect_shapes(const Tile& sums, const Tile& a, const Tile& b) {
    expect(sums.rows == a.rows && sums.row_bytes == b.row_bytes &&
               a.row_bytes == 4 * b.rows,
           "shapes of a product");
  }

  static void expect(bool holds, const char* what) {
    if (!holds) throw std::logic_error(what);
  }
  static std::array<Tile, 8>& tiles() {
    thread_local std::array<Tile, 8> all;
    return all;
  }
  template <int kTile>
  static Tile& tile() {
    Tile& t = tiles()[kTile];
    expect(t.rows != 0 && t.row_bytes != 0, "a tile of no configuration");
    return t;
  }
};

}  // namespace skua::test
