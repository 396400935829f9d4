#pragma once

#include <cstdint>

namespace skua {

/** Bytes of memory that the machine has. */
std::uint64_t physical_memory();

/** Most bytes of memory that this process held so far (resident set). */
std::uint64_t peak_memory();

}  // namespace skua
