#include "base/safetensors.h"

#include "fuzz/memory_file.h"
#include "skua/error.h"

// Only typed errors may leave the reader, and what it gives out lies inside
// the file: every byte is touched, and shape and bytes agree.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const skua::fuzz::MemoryFile input(data, size);
  try {
    const skua::SafetensorsFile file(input.path());
    volatile unsigned sum = 0;
    for (const auto& tensor : file.tensors()) {
      std::size_t n_bits =
          static_cast<std::size_t>(skua::safe_dtype_bits(tensor.dtype));
      for (const std::int64_t n : tensor.shape)
        n_bits *= static_cast<std::size_t>(n);
      if (n_bits != 8 * tensor.data.size()) __builtin_trap();
      for (const std::byte byte : tensor.data)
        sum = sum + std::to_integer<unsigned>(byte);
    }
  } catch (const skua::Error&) {
  }
  return 0;
}
