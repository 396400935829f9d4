#include "kernels/cpu/attention_amx.h"

#include <algorithm>

#include "base/cpu_level.h"
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/attention_bf16_tiles-inl.h"
#include "kernels/cpu/bf16_rows.h"
#include "skua/error.h"

namespace skua::cpu {

void pack_queries_bf16(std::span<const float* const> queries,
                       const KvShape& shape, float scale,
                       AlignedBuffer& packed) {
  thread_local std::vector<float> scaled;
  const std::size_t n_padded =
      AttentionPanel::key_steps(shape) * AttentionPanel::kStep;
  const std::size_t n_rows = tile_rows(queries.size());
  const std::size_t n_bytes = n_rows * 2 * n_padded * sizeof(std::uint16_t);
  if (packed.size() < n_bytes) packed = AlignedBuffer(n_bytes);
  auto* out = packed.as<std::uint16_t>();
  scaled.assign(n_padded, 0.0f);
  for (const float* query : queries) {
    for (std::size_t i = 0; i < shape.key_dim; ++i)
      scaled[i] = scale * query[i];
    round_bf16(scaled.data(), n_padded, false, out);
    for (std::size_t i = 0; i < shape.key_dim; ++i)
      scaled[i] -= widen_bf16(out[i]);
    round_bf16(scaled.data(), n_padded, false, out + n_padded);
    out += 2 * n_padded;
  }
  std::fill_n(out, (n_rows - queries.size()) * 2 * n_padded, std::uint16_t{0});
}

#if defined(__x86_64__)

bool has_amx_attention() {
  return cpu_features().amx_bf16;
}

void attend_chunk_amx(const AttentionShape& shape,
                      std::span<const TileRow> rows,
                      const std::uint16_t* queries, const KvHead& head,
                      std::size_t first, float* sums) {
  AttentionTiles<AmxTiles>::attend(shape, rows, queries, head, first, sums);
}

#else

bool has_amx_attention() {
  return false;
}

void attend_chunk_amx(const AttentionShape&, std::span<const TileRow>,
                      const std::uint16_t*, const KvHead&, std::size_t,
                      float*) {
  throw Unsupported("[attend_chunk_amx] this CPU has no tiles");
}

#endif

}  // namespace skua::cpu
