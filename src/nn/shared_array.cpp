#include "nn/shared_array.h"

#include <mlx/mlx.h>

#include <cstdint>
#include <cstring>

#include "kernels/primitive.h"

namespace skua {
namespace {

// MLX's CPU buffers start with their size; data follows after these bytes.
constexpr std::size_t kBufferHeader = 8;

mx::array wrap(const void* data, const mx::Shape& shape, mx::Dtype dtype,
               std::shared_ptr<const void> owner) {
  auto* start = const_cast<char*>(static_cast<const char*>(data));
  return mx::array(
      mx::allocator::Data(mx::allocator::Buffer(start - kBufferHeader),
                          [owner = std::move(owner)](auto) {}),
      shape, dtype);
}

bool wraps_in_place() {
  static const bool works = [] {
    const std::int32_t numbers[4] = {0, 0, 3, 4};
    const mx::array a = wrap(numbers + 2, {2}, mx::int32, nullptr);
    return a.data<std::int32_t>() == numbers + 2;
  }();
  return works;
}

}  // namespace

mx::array share_array(const void* data, const mx::Shape& shape, mx::Dtype dtype,
                      std::shared_ptr<const void> owner) {
  const bool aligned =
      reinterpret_cast<std::uintptr_t>(data) % mx::size_of(dtype) == 0;
  if (runs_on_cpu() && aligned && wraps_in_place())
    return wrap(data, shape, dtype, std::move(owner));
  std::size_t n_bytes = mx::size_of(dtype);
  for (const int n : shape) n_bytes *= static_cast<std::size_t>(n);
  auto memory = mx::allocator::malloc(n_bytes);
  std::memcpy(memory.buffer().raw_ptr(), data, n_bytes);
  return mx::array(std::move(memory), shape, dtype);
}

}  // namespace skua
