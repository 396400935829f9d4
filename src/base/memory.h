#pragma once

#include <cstdint>

namespace skua {

/** Bytes of memory that the machine has. */
std::uint64_t physical_memory();

/** Bytes that programs can still get without swapping, as the system estimates
 *  (MemAvailable); half of the machine's where it does not. */
std::uint64_t available_memory();

/** Most bytes of memory that this process held so far (resident set). */
std::uint64_t peak_memory();

}  // namespace skua
