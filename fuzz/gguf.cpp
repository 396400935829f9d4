#include "base/gguf.h"

#include "fuzz/memory_file.h"
#include "skua/error.h"

// Only typed errors may leave the reader, and what it gives out lies inside
// the file: every byte and string is touched.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const skua::fuzz::MemoryFile input(data, size);
  try {
    const skua::GgufFile file(input.path());
    volatile unsigned sum = 0;
    for (const auto& tensor : file.tensors())
      for (const std::byte byte : tensor.data)
        sum = sum + std::to_integer<unsigned>(byte);
    for (const auto& [key, value] : file.metadata()) {
      if (const auto* text = std::get_if<std::string_view>(&value))
        for (const char c : *text) sum = sum + static_cast<unsigned char>(c);
      if (!file.has(key)) __builtin_trap();
    }
    file.strings("tokenizer.ggml.tokens");
  } catch (const skua::Error&) {
  }
  return 0;
}
