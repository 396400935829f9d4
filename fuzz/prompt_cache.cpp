#include "generate/prompt_cache.h"

#include <mlx/mlx.h>

#include "fuzz/memory_file.h"
#include "skua/error.h"

namespace {

namespace mx = mlx::core;

// Reads every number.
void touch(mx::array x) {
  x = mx::contiguous(x);
  x.eval();
  const auto* bytes = x.data<std::uint8_t>();
  volatile unsigned sum = 0;
  for (std::size_t i = 0; i < x.nbytes(); ++i) sum = sum + bytes[i];
}

void check(const skua::PromptCacheLayer& layer) {
  if (!layer.state.empty()) {
    for (const mx::array& x : layer.state) touch(x);
    return;
  }
  const mx::array &keys = layer.rows.keys, &values = layer.rows.values;
  const int n = keys.shape(1);
  const bool rotating = layer.max_size != 0;
  if (values.shape(1) != n || values.shape(0) != keys.shape(0))
    __builtin_trap();
  if (n > layer.offset || (!rotating && n != layer.offset)) __builtin_trap();
  if (layer.n_head > n || layer.n_head > layer.keep) __builtin_trap();
  touch(keys);
  touch(values);
}

}  // namespace

// Only typed errors may leave the reader, and what a layer holds is as many
// positions as it says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  // Freed memory goes back, so that what is held is what an input takes.
  static const bool kept = mx::set_cache_limit(0) != 0;
  static_cast<void>(kept);
  const skua::fuzz::MemoryFile input(data, size);
  try {
    for (const auto& layer : skua::read_prompt_cache(input.path()).layers)
      check(layer);
  } catch (const skua::Error&) {
  }
  return 0;
}
