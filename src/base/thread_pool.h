#pragma once

#include <cstddef>
#include <functional>

namespace skua {

/** Threads that parallel_for uses: the CPUs this process may run on, limited
 *  by the cgroup's quota and by SKUA_THREADS where it is set. At least 1. */
int thread_count();

/** Calls body(i) for every i in [0, n_chunks), on the caller's thread and the
 *  pool's, and returns when all are done. Chunks are claimed one by one, so
 *  uneven ones balance; which thread runs a chunk must not change results.
 *  Not reentrant from inside a body. The first exception is rethrown. */
void parallel_for(std::size_t n_chunks,
                  const std::function<void(std::size_t)>& body);

}  // namespace skua
