#include "bench/model_size.h"

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

}  // namespace

ModelSize model_size(const LoadedModel& loaded) {
  const FileBytes bytes = file_bytes(loaded.path);
  const Config& config = loaded.config;
  const double n_layers = config.size("num_hidden_layers");
  const double n_heads = config.size("num_attention_heads");
  const double n_kv_heads =
      config.size_or("num_key_value_heads", static_cast<int>(n_heads));
  const double head_size = head_dim(config);
  const double embedding = static_cast<double>(loaded.model->vocab_size()) *
                           config.size("hidden_size");
  ModelSize size;
  size.weight_bytes = bytes.all - (bytes.has_head ? bytes.embedding : 0);
  size.kv_bytes = 2 * 2 * n_layers * n_kv_heads * head_size;
  size.layer_parameters = static_cast<double>(loaded.info.n_parameters) -
                          embedding * (bytes.has_head ? 2 : 1);
  size.query_width = n_layers * n_heads * head_size;
  return size;
}

}  // namespace skua::bench
