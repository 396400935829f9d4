#pragma once

#include "kernels/attention.h"

namespace skua {

/** append_and_attend of plain MLX operations, for caches of arrays:
 *  specification and GPU path. The arguments are checked already. */
mx::array append_and_attend_fallback(
    const mx::array& q, const mx::array& k, const mx::array& v,
    const std::vector<AttentionSegment>& segments,
    const std::vector<KvCache>& caches, const AttentionOptions& options);

}  // namespace skua
