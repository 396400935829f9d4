#include "generate/prompt_cache_digest.h"

#include <mlx/mlx.h>

#include "base/digest.h"

namespace skua {
namespace {

// Ends in a line of its own, so that fields do not run together.
void add_field(Digest& digest, const std::string& text) {
  digest.add(std::to_string(text.size()) + ' ');
  digest.add(text);
  digest.add("\n");
}

void add_array(Digest& digest, const mx::array& x) {
  mx::array flat = mx::contiguous(x);
  flat.eval();
  std::string kind = std::to_string(x.itemsize()) + " bytes";
  for (const auto n : x.shape()) kind += ' ' + std::to_string(n);
  add_field(digest, kind);
  digest.add(std::as_bytes(std::span(flat.data<char>(), flat.nbytes())));
}

}  // namespace

std::string digest_of(const PromptCacheFile& cache) {
  Digest digest;
  for (const auto& [key, value] : cache.metadata) {
    if (!key.starts_with("skua_") || key == kPromptCacheDigest) continue;
    add_field(digest, key);
    add_field(digest, value);
  }
  for (const PromptCacheLayer& layer : cache.layers) {
    std::string counts = std::to_string(layer.state.size());
    for (const int count :
         {layer.n_head, layer.offset, layer.max_size, layer.keep})
      counts += ' ' + std::to_string(count);
    add_field(digest, counts);
    for (const mx::array& x : layer.state) add_array(digest, x);
    if (!layer.state.empty()) continue;
    add_array(digest, layer.rows.keys);
    add_array(digest, layer.rows.values);
  }
  return digest.hex();
}

}  // namespace skua
