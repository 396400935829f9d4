#include "kernels/cpu/scratch.h"

#include "base/aligned_buffer.h"

namespace skua::cpu {

float* scratch(std::size_t n_floats) {
  thread_local AlignedBuffer room;
  if (room.size() < n_floats * sizeof(float))
    room = AlignedBuffer(n_floats * sizeof(float));
  return room.as<float>();
}

}  // namespace skua::cpu
