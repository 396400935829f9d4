#include "bench/model_size.h"

#include <mlx/mlx.h>

#include <string_view>

#include "base/gguf.h"
#include "base/safetensors.h"

namespace skua::bench {
namespace {

struct FileBytes {
  double all = 0, embedding = 0;
  bool has_head = false;
};

FileBytes file_bytes(const std::filesystem::path& path) {
  FileBytes bytes;
  const auto count = [&](std::string_view name, std::size_t n) {
    bytes.all += static_cast<double>(n);
    if (name.starts_with("token_embd.") ||
        name.find("embeddings.") != std::string_view::npos ||
        name.find("embed_tokens.") != std::string_view::npos)
      bytes.embedding += static_cast<double>(n);
    if (name.starts_with("output.") || name.starts_with("lm_head."))
      bytes.has_head = true;
  };
  if (std::filesystem::is_directory(path)) {
    for (const auto& file : open_checkpoint(path))
      for (const auto& tensor : file.tensors())
        count(tensor.name, tensor.data.size());
  } else {
    const GgufFile file(path);
    for (const auto& tensor : file.tensors())
      count(tensor.name, tensor.data.size());
  }
  return bytes;
}

struct Held {
  double n_attending = 0;  // layers
  double state_bytes = 0;
};

// What layers hold of a sequence, of which one token tells that is not
// computed.
Held held_by(const CausalLM& model) {
  Cache cache = model.make_cache(KvType::kBf16);
  const int sequence = cache.add_sequence();
  Batch batch;
  batch.add(sequence, 0, 1);
  model.forward(mx::array({0}, mx::int32), batch, cache);
  Held held;
  for (int i = 0; i < cache.n_layers(); ++i) {
    if (cache.layer(i).find(sequence) != nullptr) ++held.n_attending;
    for (const mx::array& state : cache.layer(i).states().find(sequence, 1))
      held.state_bytes += static_cast<double>(state.nbytes());
  }
  return held;
}

}  // namespace

ModelSize model_size(const LoadedModel& loaded) {
  const FileBytes bytes = file_bytes(loaded.path);
  const Config& config = loaded.config;
  const double embedding = static_cast<double>(loaded.model->vocab_size()) *
                           config.size("hidden_size");
  ModelSize size;
  size.weight_bytes = bytes.all - (bytes.has_head ? bytes.embedding : 0);
  const Held held = held_by(*loaded.model);
  size.state_bytes = held.state_bytes;
  size.layer_parameters = static_cast<double>(loaded.info.n_parameters) -
                          embedding * (bytes.has_head ? 2 : 1);
  if (held.n_attending == 0) return size;
  const int n_heads = config.size("num_attention_heads");
  const int n_kv_heads = config.size_or("num_key_value_heads", n_heads);
  const double of_layers = held.n_attending * head_dim(config);
  const double projected = config.size("hidden_size") *
                           (n_heads + 2.0 * n_kv_heads) * head_dim(config);
  size.last_parameters =
      size.layer_parameters / config.size("num_hidden_layers") - projected;
  size.kv_bytes = 2 * 2 * of_layers * n_kv_heads;
  size.query_width = of_layers * n_heads;
  return size;
}

}  // namespace skua::bench
