#include "models/checkpoint.h"
#include "models/gguf_names.h"
#include "nn/ggml_blocks.h"
#include "skua/error.h"

namespace skua {
namespace {

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

Json rope_scaling(const GgufFile& file, const std::string& arch) {
  if (const GgufTensor* factors = find_tensor(file, kGgufRopeFactors)) {
    // The factors are what the scaling of the metadata comes to.
    return Json{{"rope_type", "factors"}, {"factors", ggml_decode(*factors)}};
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

// Layers without heads of keys are convolutions.
void add_lfm2_fields(const GgufFile& file, const std::string& arch,
                     Json& config) {
  const std::string where = file.path().string();
  const std::string key = arch + ".attention.head_count_kv";
  const auto heads = file.integers(key);
  if (heads.size() != config["num_hidden_layers"]) {
    throw InvalidInput(where, key + " has " + std::to_string(heads.size()) +
                                  " numbers, expected one for each of " +
                                  dump_json(config["num_hidden_layers"]) +
                                  " layers");
  }
  std::int64_t n_kv_heads = 0;
  config["full_attn_idxs"] = Json::array();
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (heads[i] == 0) continue;
    if (n_kv_heads != 0 && heads[i] != n_kv_heads) {
      throw Unsupported(where, key + " holds " + std::to_string(n_kv_heads) +
                                   " and " + std::to_string(heads[i]) +
                                   ", expected one number and zeros");
    }
    n_kv_heads = heads[i];
    config["full_attn_idxs"].push_back(i);
  }
  if (n_kv_heads != 0) config["num_key_value_heads"] = n_kv_heads;
  if (file.integer_or(arch + ".attention.sliding_window", 0) != 0)
    throw Unsupported(where, arch + ".attention.sliding_window is not built");
  config["norm_eps"] = config["rms_norm_eps"];
  config["conv_L_cache"] = file.integer(arch + ".shortconv.l_cache");
  config["block_auto_adjust_ff_dim"] = false;
}

}  // namespace

Config gguf_config(const GgufFile& file) {
  const GgufArchitecture& architecture = gguf_architecture(file);
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
  // Of LFM2 it is a list.
  if (arch != "lfm2") {
    config["num_key_value_heads"] =
        file.integer_or(arch + ".attention.head_count_kv", n_heads);
  }
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
  if (arch == "lfm2") add_lfm2_fields(file, arch, config);
  return Config(std::move(config), where);
}

}  // namespace skua
