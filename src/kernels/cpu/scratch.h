#pragma once

#include <cstddef>

namespace skua::cpu {

/** Memory for the intermediate results of one operation, kept from call to
 *  call: fresh pages would be faulted in each time. The next call on the same
 *  thread, which runs all CPU nodes, gives the same memory. */
float* scratch(std::size_t n_floats);

}  // namespace skua::cpu
