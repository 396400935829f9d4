#pragma once

#include <mlx/array.h>

#include <vector>

namespace skua {

namespace mx = mlx::core;

/** Rows of the flat token axis that belong to one sequence. */
struct AttentionSegment {
  int first_row = 0;
  int n_rows = 0;
  int position = 0;  // of its first row: how many positions the cache holds
};

struct AttentionOptions {
  float scale = 1;
  int window = 0;  // newest positions a query sees, its own included; 0: all
};

/** Keys and values of one sequence, each [n_kv_heads, capacity, head_dim]. */
struct KeyValue {
  mx::array keys;
  mx::array values;
};

struct Attended {
  mx::array out;                 // [T, n_heads, head_dim]
  std::vector<KeyValue> caches;  // with the new rows; replace the old ones
};

/** Appends each segment's rows to its cache at its position and attends:
 *  causal, within the window, query head h to key head h / (n_heads /
 *  n_kv_heads).
 *  q       [T, n_heads, head_dim]
 *  k, v    [T, n_kv_heads, head_dim]
 *  caches  one for each segment, with room for position + n_rows
 *  On CPU the rows are written in place: an old cache array stays valid for
 *  the positions below its segment's, and for no others.
 *  Throws InvalidInput if shapes or types do not fit. */
Attended append_and_attend(const mx::array& q, const mx::array& k,
                           const mx::array& v,
                           const std::vector<AttentionSegment>& segments,
                           const std::vector<KeyValue>& caches,
                           const AttentionOptions& options);

/** The plain MLX form: specification and GPU path. Writes nothing in
 *  place. */
Attended append_and_attend_fallback(
    const mx::array& q, const mx::array& k, const mx::array& v,
    const std::vector<AttentionSegment>& segments,
    const std::vector<KeyValue>& caches, const AttentionOptions& options);

}  // namespace skua
