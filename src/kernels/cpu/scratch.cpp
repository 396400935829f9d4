#include "kernels/cpu/scratch.h"

#include <algorithm>
#include <array>
#include <utility>

namespace skua::cpu {
namespace {

thread_local std::array<AlignedBuffer, 2> kept;

}  // namespace

float* scratch(std::size_t n_floats) {
  thread_local AlignedBuffer room;
  if (room.size() < n_floats * sizeof(float))
    room = AlignedBuffer(n_floats * sizeof(float));
  return room.as<float>();
}

KeptBuffer::KeptBuffer(std::size_t n_bytes) {
  AlignedBuffer* fitting = nullptr;
  for (AlignedBuffer& buffer : kept) {
    if (buffer.size() >= n_bytes &&
        (fitting == nullptr || buffer.size() < fitting->size()))
      fitting = &buffer;
  }
  buffer_ = fitting == nullptr ? AlignedBuffer(n_bytes)
                               : std::exchange(*fitting, AlignedBuffer());
}

KeptBuffer::~KeptBuffer() {
  AlignedBuffer& least =
      *std::ranges::min_element(kept, {}, &AlignedBuffer::size);
  if (buffer_.size() > least.size()) least = std::move(buffer_);
}

}  // namespace skua::cpu
