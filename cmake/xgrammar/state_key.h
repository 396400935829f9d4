#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace xgrammar {

/** What decides which bytes may follow, from the parser's point of view. */
struct StateKey {
  using Digest = std::array<std::uint64_t, 2>;

  /** Characters until the first bound on them is reached. */
  std::int32_t remaining = std::numeric_limits<std::int32_t>::max();
  /** Equal for equal states, all bounds and what is left of them included. */
  Digest exact;
  /** The same without the bounds. */
  Digest unbounded;
};

}  // namespace xgrammar
