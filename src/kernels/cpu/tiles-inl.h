// What kernels on AMX tiles share, and a test's model of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// All that takes or returns vectors is inlined, so that no ABI matters.
#pragma GCC diagnostic ignored "-Wpsabi"

// The attribute of functions that may use the instructions beside the tiles'.
#ifndef SKUA_TILE_TARGET
#define SKUA_TILE_TARGET
#endif
// For what is called between tiles, so that its state stays in registers.
#define SKUA_INLINE_TARGET SKUA_TILE_TARGET __attribute__((always_inline))

namespace skua::cpu {

/** Rows of a tile, and 32-bit words in one. */
inline constexpr std::size_t kTileLanes = 16;

/** Shapes of the eight tiles, as the instruction LDTILECFG reads them. */
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/** While one lives, this thread's eight tiles have 16 rows of 64 bytes. */
template <class Tiles>
class TileSession {
 public:
  TileSession() {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) {
      config.rows[tile] = kTileLanes;
      config.row_bytes[tile] = 64;
    }
    Tiles::configure(config);
  }
  ~TileSession() { Tiles::release(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

/** Of 16 x 16 words, rows so many bytes apart; in and out may be one. Inlined,
 *  as each file that includes it may use other instructions. */
SKUA_INLINE_TARGET static inline void transpose_words(const void* in,
                                                      std::size_t in_stride,
                                                      void* out,
                                                      std::size_t out_stride) {
  using Words = std::int32_t __attribute__((vector_size(64)));
  // Each round is a perfect shuffle: it moves the upper bit of the row to the
  // lane and that of the lane to the row.
  Words v[kTileLanes], next[kTileLanes];
  for (std::size_t i = 0; i < kTileLanes; ++i) {
    std::memcpy(&v[i], static_cast<const char*>(in) + i * in_stride,
                sizeof v[i]);
  }
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < kTileLanes / 2; ++i) {
      const Words a = v[i], b = v[i + kTileLanes / 2];
      next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4,
                                            20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] = __builtin_shufflevector(
          a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    std::memcpy(v, next, sizeof v);
  }
  for (std::size_t i = 0; i < kTileLanes; ++i)
    std::memcpy(static_cast<char*>(out) + i * out_stride, &v[i], sizeof v[i]);
}

/** The same of rows that follow each other. */
SKUA_TILE_TARGET static inline void transpose_words(const void* in, void* out) {
  transpose_words(in, 4 * kTileLanes, out, 4 * kTileLanes);
}

}  // namespace skua::cpu
