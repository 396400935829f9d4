#pragma once

#include <vector>

#include "kernels/attention.h"

namespace skua {

/** softmax(scale q k^T + ...) v over the rows of this call alone, as written
 *  down in AttentionOptions; each head for itself.
 *  q, k, v  as in append_and_attend, of any float type
 *  Returns [T, n_heads, value_dim] in float32.
 *  Throws InvalidInput for a segment that does not begin at position 0: there
 *  is no cache, so a sequence is whole or wrong. */
mx::array oracle_attention(const mx::array& q, const mx::array& k,
                           const mx::array& v,
                           const std::vector<AttentionSegment>& segments,
                           const AttentionOptions& options);

}  // namespace skua
