#pragma once

#include <mlx/array.h>

#include <optional>
#include <vector>

#include "kernels/kv_cache.h"
#include "skua/precision.h"

namespace skua {

/** Rows of the flat token axis that belong to one sequence. */
struct AttentionSegment {
  int first_row = 0;
  int n_rows = 0;
  int position = 0;  // of its first row: how many positions the cache holds
};

/** What a query's scores q . k are made into, in this order; then the
 *  softmax. */
struct AttentionOptions {
  float scale = 1;
  int window = 0;  // newest positions a query sees, its own included; 0: all
  int keep = 0;    // first positions that it sees beside the window
  /** False: a query also sees the rows of its own segment that follow it. */
  bool causal = true;
  /** Scores become cap * tanh(score / cap); 0: off. */
  float soft_cap = 0;
  /** ALiBi, [n_heads]: adds slope * (key's position - query's). */
  std::optional<mx::array> slopes = {};
  /** Added to the scores, [T, S]: of each row for each position from 0; S is
   *  at least the longest sequence's length. */
  std::optional<mx::array> mask = {};
  /** [n_heads]: one more score for each head, without a value. */
  std::optional<mx::array> sinks = {};
  /** kDefault and kFast round what prompts multiply where a CPU has tiles. */
  Precision precision = Precision::kExact;
};

/** Appends each segment's rows to its cache at its position and attends: to
 *  all before it and itself, within the window, query head h to key head
 *  h / (n_heads / n_kv_heads).
 *  q       [T, n_heads, key_dim]
 *  k       [T, n_kv_heads, key_dim]
 *  v       [T, n_kv_heads, value_dim]
 *  caches  one for each segment; room is made where there is none
 *  Returns [T, n_heads, value_dim] of q's type. A row that sees nothing but
 *  keys masked by -infinity, and no sink, is 0 on CPU and else NaN.
 *  On CPU a row's bits depend neither on the other rows of the call, nor on
 *  how its sequence was cut into calls, nor on the number of threads. Against
 *  exact arithmetic on the stored keys and values the error of a number is at
 *  most b = 2e-6 * (1 + the largest |score|) of the largest |value| it mixes.
 *  With precision kDefault or kFast, where the CPU has tiles of bfloat16 and
 *  the cache is not of float32, rows of segments of 16 rows or more depend on
 *  that, too: keys, values and the softmax's weights are rounded to bfloat16,
 *  queries to sums of two such numbers, and what is below 2^-126 to 0. With t
 *  the row's largest scale * sum |q_i k_i|, the error is then at most
 *  b + e^(2 t / 255) - 1 + 1 / 127 of the largest |value|.
 *  Throws InvalidInput if shapes or types do not fit. */
mx::array append_and_attend(const mx::array& q, const mx::array& k,
                            const mx::array& v,
                            const std::vector<AttentionSegment>& segments,
                            const std::vector<KvCache>& caches,
                            const AttentionOptions& options);

}  // namespace skua
