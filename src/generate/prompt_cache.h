#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kernels/kv_cache.h"

namespace skua {

/** What one layer holds of one sequence, as mlx-lm's prompt caches have it:
 *  keys and values, or a state. */
struct PromptCacheLayer {
  /** [n_kv_heads, n, dim] of float32, bfloat16 or float16: positions
   *  [0, n_head), then the n - n_head positions before `offset`. */
  KeyValue rows;
  int n_head = 0;
  int offset = 0;  // tokens of the sequence
  /** Of a RotatingKVCache: the positions it holds at most, the first `keep`
   *  of them from the start. 0 of a KVCache, which holds all. */
  int max_size = 0;
  int keep = 0;
  /** Of an ArraysCache, which has nothing else: arrays of those types. */
  std::vector<mx::array> state = {};
};

struct PromptCacheFile {
  std::vector<PromptCacheLayer> layers;
  std::map<std::string, std::string> metadata;  // the user's, without dots
};

/** How the file spells what is no array: mlx-lm to 0.31 has metadata
 *  `0.<layer>[.<field>]`, `1.<key>` of the user, `2.<layer>` class names;
 *  from 0.32 on `0.<key>`, `1.<layer>`, `2.<n>.*` and scalar tensors. Keys
 *  and values are `<layer>.0` and `<layer>.1` [1, n_kv_heads, n, dim] in
 *  both, arrays of a state `<layer>.<i>` [1, ...] in the older one and
 *  `<layer>.0.<i>` in the newer. */
enum class PromptCacheLayout { kMetaState, kScalars };

/** Writes a safetensors file that mlx-lm's load_prompt_cache reads; readers
 *  see the old file or the whole new one. Waits for the arrays. Throws Error.
 *  Source: ml-explore/mlx-lm models/cache.py, save_prompt_cache. */
void write_prompt_cache(
    const std::filesystem::path& path, const PromptCacheFile& cache,
    PromptCacheLayout layout = PromptCacheLayout::kMetaState);

/** Reads either layout, rings put into the order of time. All sizes are
 *  checked, and the digest where metadata has one; classes other than KVCache,
 * RotatingKVCache and ArraysCache throw Unsupported. Throws NotFound, Error,
 * InvalidInput. */
PromptCacheFile read_prompt_cache(const std::filesystem::path& path);

}  // namespace skua
