#pragma once

#include <cstddef>
#include <vector>

namespace skua::cpu {

/** Rows of one sequence in a flat batch, and its cache. */
struct AttentionTask {
  std::size_t first_row = 0;
  std::size_t n_rows = 0;
  std::size_t position = 0;  // of its first row = rows cached before it
  std::size_t capacity = 0;  // positions the cache has room for
  float* keys = nullptr;     // [n_kv_heads, capacity, head_dim]
  float* values = nullptr;   // [n_kv_heads, capacity, head_dim]
};

struct AttentionShape {
  std::size_t n_heads = 0;
  std::size_t n_kv_heads = 0;
  std::size_t head_dim = 0;
  float scale = 1;
  std::size_t window = 0;  // positions a query sees; 0 is all before it
};

/** Appends the new rows to each cache, then attends causally.
 *  q    [T, n_heads, head_dim]
 *  k, v [T, n_kv_heads, head_dim]
 *  out  [T, n_heads, head_dim]
 *  A row of `out` does not depend on the other sequences or on threads. */
void append_and_attend(const AttentionShape& shape,
                       const std::vector<AttentionTask>& tasks, const float* q,
                       const float* k, const float* v, float* out);

}  // namespace skua::cpu
