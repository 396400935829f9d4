#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

#include "base/cpu_count.h"

namespace skua {

/** Threads that parallel_for uses, and why; see choose_thread_count. */
const ThreadChoice& thread_choice();

/** thread_choice().n: at least 1. */
int thread_count();

/** A reference to a callable that outlives it. */
class ChunkBody {
 public:
  template <class Body>
  explicit ChunkBody(const Body& body)
      : object_(std::addressof(body)),
        call_([](const void* object, std::size_t i) {
          (*static_cast<const Body*>(object))(i);
        }) {}

  void operator()(std::size_t i) const { call_(object_, i); }

 private:
  const void* object_;
  void (*call_)(const void*, std::size_t);
};

/** parallel_for without its template. */
void run_chunks(std::size_t n_chunks, const ChunkBody& body);

/** Calls body(i) for every i in [0, n_chunks), on the caller's thread and the
 *  pool's, and returns when all are done. Chunks are claimed one by one, so
 *  uneven ones balance, and a thread that gets no CPU delays nothing but the
 *  chunk it has claimed. Which thread runs a chunk must not change results.
 *  A call while the pool is busy, from a body or from another thread, runs on
 *  the caller alone. The first exception is rethrown. */
template <class Body>
void parallel_for(std::size_t n_chunks, const Body& body) {
  run_chunks(n_chunks, ChunkBody(body));
}

}  // namespace skua
