#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cpu/kv_pages.h"

namespace skua::cpu {

/** Rows of one sequence in a flat batch, and its cache. */
struct AttentionTask {
  std::size_t first_row = 0;
  std::size_t n_rows = 0;
  std::size_t position = 0;  // of its first row = rows cached before it
  /** With room for position + n_rows; null where no row sees a position. */
  std::vector<std::byte*> pages;
};

struct AttentionShape {
  static constexpr std::size_t kNoPage = ~std::size_t{0};

  KvShape kv;
  std::size_t n_heads = 0;
  float scale = 1;
  std::size_t quantized_page = kNoPage;  // from it on they are of this type:
  KvType quantized_type = KvType::kInt8;
  std::size_t window = 0;  // positions a query sees; 0 is all before it
  std::size_t keep = 0;    // first positions seen beside the window
  bool causal = true;
  float soft_cap = 0;             // 0: none
  const float* sinks = nullptr;   // [n_heads] or none
  const float* slopes = nullptr;  // [n_heads] or none
  const float* mask = nullptr;    // [T, mask_columns] or none
  std::size_t mask_columns = 0;
  /** Whether prompts may be computed with queries, keys, values and weights of
   *  bfloat16. */
  bool may_round = false;
};

/** Appends the new rows to each cache, then attends.
 *  q    [T, n_heads, key_dim]
 *  k    [T, n_kv_heads, key_dim]
 *  v    [T, n_kv_heads, value_dim]
 *  out  [T, n_heads, value_dim]
 *  A row of `out` does not depend on threads, and unless it may be rounded
 *  neither on the other rows of the call nor on how its sequence was cut into
 *  calls. */
void append_and_attend(const AttentionShape& shape,
                       const std::vector<AttentionTask>& tasks, const float* q,
                       const float* k, const float* v, float* out);

}  // namespace skua::cpu
