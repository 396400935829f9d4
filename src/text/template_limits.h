#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace skua {

/** Bounds of one rendering; going over one throws InvalidInput that names it.
 *  The defaults leave room for long chats and stop runaway templates. */
struct TemplateLimits {
  std::size_t max_steps = 20'000'000;  // evaluated nodes and 64-byte blocks
  std::size_t max_depth = 600;         // nested evaluations, macro calls
  std::size_t max_output_bytes = std::size_t{64} << 20;
  std::size_t max_memory_bytes = std::size_t{512} << 20;  // live values
  /** Seconds since 1970 that strftime_now shows as UTC; absent: the clock in
   *  local time. */
  std::optional<std::int64_t> now;
};

}  // namespace skua
