#include <limits>

#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "models/checkpoint.h"
#include "models/mtp.h"
#include "nn/shared_array.h"
#include "skua/error.h"

namespace skua {
namespace {

// Python writes NaN, Infinity and -Infinity, which are no JSON: null.
Json read_config(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  std::string strict;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    std::size_t n = 0;
    for (const std::string_view name : {"NaN", "Infinity", "-Infinity"})
      if (!quoted && rest.starts_with(name)) n = name.size();
    if (n > 0) {
      strict += "null";
      i += n;
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    n = quoted && text[i] == '\\' ? 2 : 1;
    strict += rest.substr(0, n);
    i += n;
  }
  return parse_json(strict, path.string());
}

mx::Dtype array_dtype(const SafeTensor& tensor, const std::string& where) {
  switch (tensor.dtype) {
    case SafeDtype::kBool:
      return mx::bool_;
    case SafeDtype::kU8:
    case SafeDtype::kF8E4M3:
    case SafeDtype::kF8E5M2:
    case SafeDtype::kF8E8M0:
      return mx::uint8;
    case SafeDtype::kI8:
      return mx::int8;
    case SafeDtype::kU16:
      return mx::uint16;
    case SafeDtype::kI16:
      return mx::int16;
    case SafeDtype::kU32:
      return mx::uint32;
    case SafeDtype::kI32:
      return mx::int32;
    case SafeDtype::kU64:
      return mx::uint64;
    case SafeDtype::kI64:
      return mx::int64;
    case SafeDtype::kF16:
      return mx::float16;
    case SafeDtype::kBF16:
      return mx::bfloat16;
    case SafeDtype::kF32:
      return mx::float32;
    case SafeDtype::kF64:
      return mx::float64;
    case SafeDtype::kC64:
      return mx::complex64;
    default:
      throw Unsupported(where + " " + tensor.name,
                        "dtype is " +
                            std::string(safe_dtype_name(tensor.dtype)) +
                            ", which has no array type");
  }
}

mx::Shape array_shape(const std::vector<std::int64_t>& shape,
                      const std::string& where) {
  mx::Shape out;
  for (const std::int64_t n : shape) {
    if (n > std::numeric_limits<int>::max()) {
      throw Unsupported(where, "a dimension is " + std::to_string(n) +
                                   ", expected less than 2^31");
    }
    out.push_back(static_cast<int>(n));
  }
  return out;
}

Quantization read_quantization(const Config& block) {
  Quantization q;
  q.mode = block.text_or("mode", "affine");
  q.bits = block.size("bits");
  q.group_size = block.size("group_size");
  q.check(block.where());
  return q;
}

// MLX's block: parameters of all layers, and objects for single ones.
void read_quantizations(const Config& config, Weights& weights) {
  const char* key =
      config.has("quantization") ? "quantization" : "quantization_config";
  if (!config.has(key)) return;
  const Config block = config.section(key);
  if (block.has("quant_method")) {
    throw Unsupported(block.where(),
                      "quant_method is " +
                          dump_json(*block.find("quant_method")) +
                          ", expected a checkpoint quantised by MLX");
  }
  weights.set_quantization("", read_quantization(block));
  for (const auto& [path, value] : block.values().items()) {
    if (value.is_object())
      weights.set_quantization(path, read_quantization(block.section(path)));
  }
}

std::uint64_t count_parameters(const SafeTensor& tensor,
                               const Weights& weights) {
  constexpr std::string_view kSuffix = ".weight";
  const bool packed =
      tensor.dtype == SafeDtype::kU32 && tensor.name.ends_with(kSuffix);
  if (tensor.name.ends_with(".scales") || tensor.name.ends_with(".biases"))
    return 0;
  if (packed) {
    const auto path =
        tensor.name.substr(0, tensor.name.size() - kSuffix.size());
    return tensor.data.size() * 8 /
           static_cast<unsigned>(weights.quantization(path).bits);
  }
  return tensor.data.size() * 8 /
         static_cast<unsigned>(safe_dtype_bits(tensor.dtype));
}

}  // namespace

Checkpoint open_folder(const std::filesystem::path& folder,
                       const Numerics& numerics, const LoadProgress& progress,
                       bool with_mtp) {
  const auto config_path = folder / "config.json";
  Checkpoint checkpoint{Config(read_config(config_path), config_path.string()),
                        Weights(folder.string(), numerics),
                        {}};
  read_quantizations(checkpoint.config, checkpoint.weights);
  CheckpointInfo& info = checkpoint.info;
  info.format = "safetensors";
  const std::vector<SafetensorsFile> files = open_checkpoint(folder);
  for (const SafetensorsFile& file : files)
    for (const SafeTensor& tensor : file.tensors())
      info.n_bytes += tensor.data.size();
  const auto is_mtp = mtp_tensors(checkpoint.config);
  const bool fits_memory = info.n_bytes < physical_memory();
  std::uint64_t done = 0;
  for (const SafetensorsFile& file : files) {
    const std::string where = file.path().string();
    for (const SafeTensor& tensor : file.tensors()) {
      if (!with_mtp && is_mtp(tensor.name)) {
        checkpoint.weights.hide(tensor.name);
      } else {
        if (fits_memory) read_ahead(tensor.data);
        checkpoint.weights.add_mapped(
            tensor.name,
            share_array(tensor.data.data(),
                        array_shape(tensor.shape, where + " " + tensor.name),
                        array_dtype(tensor, where), file.file().owner()),
            file.file(), tensor.data);
      }
      info.n_parameters += count_parameters(tensor, checkpoint.weights);
      info.n_bytes_by_type[std::string(safe_dtype_name(tensor.dtype))] +=
          tensor.data.size();
      done += tensor.data.size();
      if (progress) progress(done, info.n_bytes);
    }
  }
  return checkpoint;
}

}  // namespace skua
