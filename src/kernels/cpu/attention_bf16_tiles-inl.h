// Attention's products in tiles of bfloat16, with float32 in between.
// Included for the AMX instructions and, by a test, for a model of them.
#pragma once

#include <algorithm>
#include <span>

#include "base/aligned_buffer.h"
#include "kernels/cpu/attention_panel.h"
#include "kernels/cpu/attention_weights.h"
#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

/** Tiles is a set of static functions, as Bf16TileInput wants it. Rows are the
 *  left factor; a page's keys and values, rounded once, are the right one of
 *  all of them. */
template <class Tiles>
class AttentionTiles {
 public:
  /** See attend_chunk_amx(). */
  static void attend(const AttentionShape& shape, std::span<const TileRow> rows,
                     const std::uint16_t* queries, const KvHead& head,
                     std::size_t first, float* sums) {
    thread_local Room room;
    const Range seen = slots_of(rows, first);
    if (seen.size() == 0) return;
    room.panel.load(shape.kv, head, seen);
    const std::size_t n_steps = AttentionPanel::query_steps(shape.kv);
    const TileSession<Tiles> session;
    for (std::size_t r = 0; r < rows.size(); r += kRows) {
      const auto some = rows.subspan(r, std::min(kRows, rows.size() - r));
      const Range slots = whole_steps(slots_of(some, first));
      if (slots.size() == 0) continue;
      const std::uint16_t* q = queries + r * n_steps * kStep;
      float* out = sums + r * sums_stride(shape.kv);
      const bool pair = some.size() > kTileLanes;
      if (pair)
        score<2>(room, q, n_steps, slots);
      else
        score<1>(room, q, n_steps, slots);
      weigh_scores(shape, some, head, first, slots, room.scores, room.weights,
                   out);
      if (!room.panel.is_finite())
        mix_plainly(room, shape.kv, some, first, out);
      else if (pair)
        mix<2>(room, shape.kv, slots, out);
      else
        mix<1>(room, shape.kv, slots, out);
    }
  }

 private:
  static constexpr std::size_t kRows = 2 * kTileLanes;
  static constexpr std::size_t kStep = AttentionPanel::kStep;
  static constexpr std::size_t kStepBytes = kStep * sizeof(std::uint16_t);

  struct Room {
    AttentionPanel panel;
    alignas(64) float scores[kRows * kPage] = {};
    alignas(64) std::uint16_t weights[kRows * kPage] = {};
  };

  // What any of the rows sees.
  static Range slots_of(std::span<const TileRow> rows, std::size_t first) {
    Range all{kPage, 0};
    for (const TileRow& row : rows) {
      const auto [begin, end] = row.slots(first);
      if (begin == end) continue;
      all.begin = std::min(all.begin, begin);
      all.end = std::max(all.end, end);
    }
    return all.begin < all.end ? all : Range();
  }

  static Range whole_steps(Range slots) {
    return {slots.begin / kStep * kStep,
            (slots.end + kStep - 1) / kStep * kStep};
  }

  // Tiles 0 to 3 hold sums, row by row; 4 and 5 are left, 6 and 7 right
  // factors.
  template <int kTileRows, int kTileColumns>
  static void zero_sums() {
    Tiles::template zero<0>();
    if constexpr (kTileColumns == 2) Tiles::template zero<1>();
    if constexpr (kTileRows == 2) Tiles::template zero<2>();
    if constexpr (kTileRows * kTileColumns == 4) Tiles::template zero<3>();
  }
  template <int kTileRows, int kTileColumns>
  static void load_sums(const float* at, std::size_t stride) {
    const float* below = at + kTileLanes * stride;
    const std::size_t bytes = stride * sizeof(float);
    Tiles::template load<0>(at, bytes);
    if constexpr (kTileColumns == 2)
      Tiles::template load<1>(at + kTileLanes, bytes);
    if constexpr (kTileRows == 2) Tiles::template load<2>(below, bytes);
    if constexpr (kTileRows * kTileColumns == 4)
      Tiles::template load<3>(below + kTileLanes, bytes);
  }
  template <int kTileRows, int kTileColumns>
  static void store_sums(float* at, std::size_t stride) {
    float* below = at + kTileLanes * stride;
    const std::size_t bytes = stride * sizeof(float);
    Tiles::template store<0>(at, bytes);
    if constexpr (kTileColumns == 2)
      Tiles::template store<1>(at + kTileLanes, bytes);
    if constexpr (kTileRows == 2) Tiles::template store<2>(below, bytes);
    if constexpr (kTileRows * kTileColumns == 4)
      Tiles::template store<3>(below + kTileLanes, bytes);
  }

  // Adds a step of the products of rows `stride` numbers apart with one or
  // two columns of tiles.
  template <int kTileRows, int kTileColumns>
  static void multiply_step(const std::uint16_t* rows, std::size_t stride,
                            const std::uint16_t* column,
                            const std::uint16_t* next) {
    const std::size_t bytes = stride * sizeof(std::uint16_t);
    Tiles::template load<4>(rows, bytes);
    Tiles::template load<6>(column, kStepBytes);
    Tiles::template multiply_bf16<0, 4, 6>();
    if constexpr (kTileColumns == 2) {
      Tiles::template load<7>(next, kStepBytes);
      Tiles::template multiply_bf16<1, 4, 7>();
    }
    if constexpr (kTileRows == 2) {
      Tiles::template load<5>(rows + kTileLanes * stride, bytes);
      Tiles::template multiply_bf16<2, 5, 6>();
    }
    if constexpr (kTileRows * kTileColumns == 4)
      Tiles::template multiply_bf16<3, 5, 7>();
  }

  template <int kTileRows>
  static void score(Room& room, const std::uint16_t* q, std::size_t n_steps,
                    Range slots) {
    for (std::size_t j = slots.begin; j < slots.end; j += kStep) {
      const std::size_t block = j / kLane;
      zero_sums<kTileRows, 2>();
      for (std::size_t s = 0; s < n_steps; ++s) {
        const std::size_t step = s % (n_steps / 2);
        multiply_step<kTileRows, 2>(q + s * kStep, n_steps * kStep,
                                    room.panel.keys(block, step),
                                    room.panel.keys(block + 1, step));
      }
      store_sums<kTileRows, 2>(room.scores + j, kPage);
    }
  }

  template <int kTileRows>
  static void mix(const Room& room, const KvShape& kv, Range slots,
                  float* sums) {
    std::size_t strip = 0;
    for (; strip + 2 <= kv.n_strips(); strip += 2)
      mix_strips<kTileRows, 2>(room, kv, slots, strip, sums);
    if (strip < kv.n_strips())
      mix_strips<kTileRows, 1>(room, kv, slots, strip, sums);
  }

  template <int kTileRows, int kStrips>
  static void mix_strips(const Room& room, const KvShape& kv, Range slots,
                         std::size_t strip, float* sums) {
    const std::size_t stride = sums_stride(kv);
    sums += strip * kLane;
    load_sums<kTileRows, kStrips>(sums, stride);
    for (std::size_t j = slots.begin; j < slots.end; j += kStep) {
      multiply_step<kTileRows, kStrips>(
          room.weights + j, kPage, room.panel.values(strip, j / kStep),
          room.panel.values(strip + kStrips - 1, j / kStep));
    }
    store_sums<kTileRows, kStrips>(sums, stride);
  }

  // Each row takes just what it sees, as slow as that may be: some values are
  // not finite, and hardly any model has such.
  static void mix_plainly(const Room& room, const KvShape& kv,
                          std::span<const TileRow> rows, std::size_t first,
                          float* sums) {
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto [begin, end] = rows[r].slots(first);
      for (std::size_t j = begin; j < end; ++j) {
        const float weight = widen_bf16(room.weights[r * kPage + j]);
        for (std::size_t c = 0; c < kv.value_dim; ++c) {
          const std::uint16_t* tile = room.panel.values(c / kLane, j / kStep);
          const std::size_t pair = j % kStep / 2 * kLane + c % kLane;
          sums[r * sums_stride(kv) + c] +=
              weight * widen_bf16(tile[2 * pair + j % 2]);
        }
      }
    }
  }
};

}  // namespace skua::cpu
