#pragma once

#include <cstddef>

#include "base/aligned_buffer.h"

namespace skua::cpu {

/** Memory for the intermediate results of one operation, kept from call to
 *  call: fresh pages would be faulted in each time. The next call on the same
 *  thread, which runs all CPU nodes, gives the same memory. */
float* scratch(std::size_t n_floats);

/** Memory that outlives one operation's call to scratch(), kept for the next
 *  of the same thread that asks for as much: up to two of them. */
class KeptBuffer {
 public:
  explicit KeptBuffer(std::size_t n_bytes);
  ~KeptBuffer();
  KeptBuffer(KeptBuffer&&) noexcept = default;
  KeptBuffer& operator=(KeptBuffer&&) = delete;

  template <class T>
  T* as() {
    return buffer_.as<T>();
  }

 private:
  AlignedBuffer buffer_;
};

}  // namespace skua::cpu
