#include <mlx/mlx.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "base/aligned_buffer.h"
#include "models/checkpoint.h"
#include "nn/ggml_blocks.h"
#include "nn/shared_array.h"
#include "skua/error.h"

namespace skua {
namespace {

enum class Transform {
  kNone,
  kRotaryRows,  // llama files interleave the halves of Q's and K's heads
  kMinusOne,    // gemma files hold 1 + w, checkpoints w
};

struct NameRow {
  std::string_view gguf;  // within a block; whole where there is none
  std::string_view canonical;
  Transform transform = Transform::kNone;
};

struct GgufArchitecture {
  std::string_view name;
  std::string_view model_type;
  bool interleaved_rows;
  std::span<const NameRow> norms;  // the rest is common to all
};

constexpr std::array kLlamaNorms = {
    NameRow{"attn_norm", "input_layernorm"},
    NameRow{"ffn_norm", "post_attention_layernorm"},
    NameRow{"attn_q_norm", "self_attn.q_norm"},
    NameRow{"attn_k_norm", "self_attn.k_norm"},
    NameRow{"output_norm", "model.norm"},
};

constexpr std::array kGemmaNorms = {
    NameRow{"attn_norm", "input_layernorm", Transform::kMinusOne},
    NameRow{"post_attention_norm", "post_attention_layernorm",
            Transform::kMinusOne},
    NameRow{"ffn_norm", "pre_feedforward_layernorm", Transform::kMinusOne},
    NameRow{"post_ffw_norm", "post_feedforward_layernorm",
            Transform::kMinusOne},
    NameRow{"attn_q_norm", "self_attn.q_norm", Transform::kMinusOne},
    NameRow{"attn_k_norm", "self_attn.k_norm", Transform::kMinusOne},
    NameRow{"output_norm", "model.norm", Transform::kMinusOne},
};

constexpr std::array kCommonNames = {
    NameRow{"token_embd", "model.embed_tokens"},
    NameRow{"output", "lm_head"},
    NameRow{"attn_q", "self_attn.q_proj", Transform::kRotaryRows},
    NameRow{"attn_k", "self_attn.k_proj", Transform::kRotaryRows},
    NameRow{"attn_v", "self_attn.v_proj"},
    NameRow{"attn_output", "self_attn.o_proj"},
    NameRow{"ffn_gate", "mlp.gate_proj"},
    NameRow{"ffn_up", "mlp.up_proj"},
    NameRow{"ffn_down", "mlp.down_proj"},
};

constexpr std::array kArchitectures = {
    GgufArchitecture{"llama", "llama", true, kLlamaNorms},
    GgufArchitecture{"qwen2", "qwen2", false, kLlamaNorms},
    GgufArchitecture{"qwen3", "qwen3", false, kLlamaNorms},
    GgufArchitecture{"gemma3", "gemma3_text", false, kGemmaNorms},
};

constexpr std::string_view kRopeFactors = "rope_freqs.weight";

const GgufArchitecture& architecture(const GgufFile& file) {
  const auto name = file.string("general.architecture");
  std::string known;
  for (const GgufArchitecture& a : kArchitectures) {
    if (a.name == name) return a;
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  throw Unsupported(file.path().string(), "general.architecture is " +
                                              std::string(name) +
                                              ", expected one of " + known);
}

struct CanonicalName {
  std::string path;  // without .weight or .bias
  std::string leaf;
  Transform transform;
};

// "blk.3.attn_q.weight" -> {"model.layers.3.self_attn.q_proj", "weight"}
std::optional<CanonicalName> canonical_name(std::string_view name,
                                            const GgufArchitecture& arch) {
  std::string prefix;
  if (name.starts_with("blk.")) {
    const auto dot = name.find('.', 4);
    if (dot == name.npos) return std::nullopt;
    prefix = "model.layers." + std::string(name.substr(4, dot - 4)) + ".";
    name.remove_prefix(dot + 1);
  }
  const auto dot = name.rfind('.');
  if (dot == name.npos) return std::nullopt;
  const auto stem = name.substr(0, dot);
  for (const auto rows : {arch.norms, std::span<const NameRow>(kCommonNames)}) {
    for (const NameRow& row : rows) {
      if (row.gguf == stem) {
        return CanonicalName{prefix + std::string(row.canonical),
                             std::string(name.substr(dot + 1)), row.transform};
      }
    }
  }
  return std::nullopt;
}

const GgufTensor* find_tensor(const GgufFile& file, std::string_view name) {
  for (const GgufTensor& tensor : file.tensors())
    if (tensor.name == name) return &tensor;
  return nullptr;
}

std::int64_t n_elements(const GgufTensor& tensor) {
  std::int64_t n = 1;
  for (const std::int64_t d : tensor.shape) n *= d;
  return n;
}

std::vector<float> decode(const GgufTensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(n_elements(tensor)));
  ggml_decode(tensor.type, tensor.data, values.data());
  return values;
}

// Source row of each row of Q or K: heads of (0, d/2, 1, d/2 + 1, ...) back
// to (0, 1, ..., d/2, d/2 + 1, ...).
std::vector<std::int64_t> half_split_order(std::int64_t rows, int head_dim,
                                           const std::string& where) {
  if (rows % head_dim != 0 || head_dim % 2 != 0) {
    throw InvalidInput(where, std::to_string(rows) +
                                  " rows, expected a multiple of an even "
                                  "head_dim, which is " +
                                  std::to_string(head_dim));
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t i = row % head_dim;
    const std::int64_t half = head_dim / 2;
    order[static_cast<std::size_t>(row)] =
        row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
  }
  return order;
}

mx::Dtype dense_dtype(GgmlType type) {
  if (type == GgmlType::kF16) return mx::float16;
  if (type == GgmlType::kBF16) return mx::bfloat16;
  return mx::float32;
}

mx::array adopt(AlignedBuffer buffer, const mx::Shape& shape, mx::Dtype dtype) {
  const auto owner = std::make_shared<AlignedBuffer>(std::move(buffer));
  return share_array(owner->data(), shape, dtype, owner);
}

class TensorLoader {
 public:
  TensorLoader(const GgufFile& file, int head_dim, bool interleaved_rows,
               Weights& weights)
      : file_(file),
        head_dim_(head_dim),
        interleaved_rows_(interleaved_rows),
        weights_(weights) {}

  void load(const GgufTensor& tensor, const CanonicalName& name) {
    const std::string where = file_.path().string() + " " + tensor.name;
    if (tensor.shape.empty() || tensor.shape.size() > 2) {
      throw InvalidInput(where, std::to_string(tensor.shape.size()) +
                                    " dimensions, expected 1 or 2");
    }
    for (const std::int64_t n : tensor.shape) {
      if (n > std::numeric_limits<int>::max())
        throw Unsupported(where, "a dimension is 2^31 or more");
    }
    std::vector<std::int64_t> order;
    if (name.transform == Transform::kRotaryRows && interleaved_rows_)
      order = half_split_order(tensor.shape[0], head_dim_, where);
    const bool blocks = ggml_affine_format(tensor.type).has_value();
    if (blocks && tensor.shape.size() == 2) {
      try {
        add_affine(tensor, name, order);
      } catch (const InvalidInput& error) {
        throw InvalidInput(where, std::string(error.what()) +
                                      "; the file is damaged, get it again");
      }
    } else {
      add_dense(tensor, name, order);
    }
  }

 private:
  void add_affine(const GgufTensor& tensor, const CanonicalName& name,
                  std::span<const std::int64_t> order) {
    const auto rows = tensor.shape[0];
    const auto cols = tensor.shape[1];
    AffineTensor affine =
        ggml_to_affine(tensor.type, tensor.data, rows, cols, order);
    // From here on the copy is used.
    file_.file().drop_pages(tensor.data);
    const auto [bits, group, f32_scales] = affine.format;
    const auto shape = [&](std::int64_t width) {
      return mx::Shape{static_cast<int>(rows), static_cast<int>(width)};
    };
    const auto scale_type = f32_scales ? mx::float32 : mx::float16;
    weights_.set_quantization(name.path, {"affine", bits, group});
    weights_.add(
        name.path + ".weight",
        adopt(std::move(affine.packed), shape(cols * bits / 32), mx::uint32));
    weights_.add(name.path + ".scales", adopt(std::move(affine.scales),
                                              shape(cols / group), scale_type));
    weights_.add(name.path + ".biases", adopt(std::move(affine.biases),
                                              shape(cols / group), scale_type));
  }

  void add_dense(const GgufTensor& tensor, const CanonicalName& name,
                 std::span<const std::int64_t> order) {
    mx::Shape shape;
    for (const std::int64_t n : tensor.shape)
      shape.push_back(static_cast<int>(n));
    mx::array array =
        ggml_affine_format(tensor.type)
            ? mx::array(decode(tensor).begin(), shape)
            : share_array(tensor.data.data(), shape, dense_dtype(tensor.type),
                          file_.file().owner());
    if (!order.empty()) {
      const auto n = static_cast<int>(order.size());
      array = mx::take(array, mx::array(order.begin(), {n}, mx::int64), 0);
      array.eval();
    }
    if (name.transform == Transform::kMinusOne)
      array = mx::subtract(mx::astype(array, mx::float32), mx::array(1.0f));
    weights_.add_mapped(name.path + "." + name.leaf, std::move(array));
  }

  const GgufFile& file_;
  int head_dim_;
  bool interleaved_rows_;
  Weights& weights_;
};

// Blocks after the model's own that hold heads for multi-token prediction.
std::int64_t n_head_blocks(const GgufFile& file, const std::string& arch) {
  const auto n = file.integer_or(arch + ".nextn_predict_layers", 0);
  const auto of = file.integer(arch + ".block_count");
  if (n < 0 || (n > 0 && n >= of)) {
    throw InvalidInput(file.path().string(),
                       arch + ".nextn_predict_layers is " + std::to_string(n) +
                           ", expected 0 to less than block_count " +
                           std::to_string(of));
  }
  return n;
}

// Whether the tensor is of a block from the first_head-th on.
bool is_of_heads(std::string_view name, std::int64_t first_head) {
  constexpr std::string_view kBlock = "blk.";
  if (!name.starts_with(kBlock)) return false;
  std::int64_t block = -1;
  std::from_chars(name.data() + kBlock.size(), name.data() + name.size(),
                  block);
  return block >= first_head;
}

Json rope_scaling(const GgufFile& file, const std::string& arch) {
  if (const GgufTensor* factors = find_tensor(file, kRopeFactors)) {
    // The factors are what the scaling of the metadata comes to.
    return Json{{"rope_type", "factors"}, {"factors", decode(*factors)}};
  }
  const auto type = file.string_or(arch + ".rope.scaling.type", "none");
  if (type == "none") return nullptr;
  if (type != "linear" && type != "yarn") {
    throw Unsupported(file.path().string(),
                      arch + ".rope.scaling.type is " + std::string(type) +
                          ", expected none, linear or yarn");
  }
  Json scaling = {{"rope_type", type},
                  {"factor", file.number(arch + ".rope.scaling.factor")}};
  scaling["original_max_position_embeddings"] =
      file.integer_or(arch + ".rope.scaling.original_context_length",
                      file.integer(arch + ".context_length"));
  return scaling;
}

void add_gemma_fields(const GgufFile& file, const std::string& arch,
                      Json& config) {
  config["sliding_window"] =
      file.integer_or(arch + ".attention.sliding_window", 512);
  config["rope_local_base_freq"] =
      file.number_or(arch + ".rope.freq_base_swa", 10000);
  // The 27B model alone scales by its mean width per head.
  constexpr int kLayers27B = 62;
  config["query_pre_attn_scalar"] =
      config["num_hidden_layers"] == kLayers27B
          ? config["hidden_size"].get<double>() /
                config["num_attention_heads"].get<double>()
          : config["head_dim"].get<double>();
}

}  // namespace

Config gguf_config(const GgufFile& file) {
  const GgufArchitecture& architecture = skua::architecture(file);
  const std::string arch(architecture.name);
  const std::string where = file.path().string();
  const auto integer = [&](const char* key) {
    return file.integer(arch + "." + key);
  };
  const GgufTensor* embedding = find_tensor(file, "token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    throw InvalidInput(where, "tensor token_embd.weight is missing");
  if (file.integer_or(arch + ".expert_count", 0) > 0)
    throw Unsupported(where, "is a mixture of experts, which is not built");

  Json config = {{"model_type", architecture.model_type}};
  config["vocab_size"] = embedding->shape[0];
  config["hidden_size"] = integer("embedding_length");
  const auto n_heads_after = n_head_blocks(file, arch);
  config["num_hidden_layers"] = integer("block_count") - n_heads_after;
  if (n_heads_after > 0) config["num_nextn_predict_layers"] = n_heads_after;
  config["intermediate_size"] = integer("feed_forward_length");
  const auto n_heads = integer("attention.head_count");
  config["num_attention_heads"] = n_heads;
  config["num_key_value_heads"] =
      file.integer_or(arch + ".attention.head_count_kv", n_heads);
  config["rms_norm_eps"] =
      file.number(arch + ".attention.layer_norm_rms_epsilon");
  if (file.has(arch + ".attention.key_length"))
    config["head_dim"] = integer("attention.key_length");
  config["max_position_embeddings"] = integer("context_length");
  config["rope_theta"] = file.number_or(arch + ".rope.freq_base", 10000);
  config["rope_scaling"] = rope_scaling(file, arch);
  config["tie_word_embeddings"] = find_tensor(file, "output.weight") == nullptr;
  const int d = head_dim(Config(config, where));
  config["head_dim"] = d;
  if (file.integer_or(arch + ".rope.dimension_count", d) != d) {
    throw Unsupported(where, arch +
                                 ".rope.dimension_count differs from the head "
                                 "size " +
                                 std::to_string(d));
  }
  if (arch == "gemma3") add_gemma_fields(file, arch, config);
  return Config(std::move(config), where);
}

Checkpoint open_gguf(const GgufFile& file, const Numerics& numerics,
                     const LoadProgress& progress) {
  const GgufArchitecture& arch = architecture(file);
  Checkpoint checkpoint{
      gguf_config(file), Weights(file.path().string(), numerics), {}};
  CheckpointInfo& info = checkpoint.info;
  info.format = "GGUF";
  for (const GgufTensor& tensor : file.tensors())
    info.n_bytes += tensor.data.size();

  TensorLoader loader(file, head_dim(checkpoint.config), arch.interleaved_rows,
                      checkpoint.weights);
  const int first_head = checkpoint.config.has("num_nextn_predict_layers")
                             ? checkpoint.config.size("num_hidden_layers")
                             : std::numeric_limits<int>::max();
  std::uint64_t done = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    info.n_parameters += static_cast<std::uint64_t>(n_elements(tensor));
    info.n_bytes_by_type[std::string(ggml_type_info(tensor.type).name)] +=
        tensor.data.size();
    if (is_of_heads(tensor.name, first_head)) {
      checkpoint.weights.hide(tensor.name);
    } else if (tensor.name != kRopeFactors) {
      const auto name = canonical_name(tensor.name, arch);
      if (!name) {
        throw Unsupported(file.path().string(), "tensor " + tensor.name +
                                                    " is not part of " +
                                                    std::string(arch.name));
      }
      loader.load(tensor, *name);
    }
    done += tensor.data.size();
    if (progress) progress(done, info.n_bytes);
  }
  return checkpoint;
}

}  // namespace skua
