#include "models/gguf_names.h"

#include <array>

#include "skua/error.h"

namespace skua {

/** A tensor's name in files and in checkpoints. */
struct GgufNameRow {
  std::string_view gguf;  // within a block; whole where there is none
  std::string_view canonical;
  GgufTransform transform = GgufTransform::kNone;
};

namespace {

using NameRow = GgufNameRow;
using Transform = GgufTransform;

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

constexpr std::array kLfm2Names = {
    NameRow{"token_embd_norm", "model.embedding_norm"},
    NameRow{"attn_norm", "operator_norm"},
    NameRow{"ffn_norm", "ffn_norm"},
    NameRow{"attn_q_norm", "self_attn.q_layernorm"},
    NameRow{"attn_k_norm", "self_attn.k_layernorm"},
    NameRow{"attn_output", "self_attn.out_proj"},
    NameRow{"shortconv.conv", "conv.conv", Transform::kTaps},
    NameRow{"shortconv.in_proj", "conv.in_proj"},
    NameRow{"shortconv.out_proj", "conv.out_proj"},
    NameRow{"ffn_gate", "feed_forward.w1"},
    NameRow{"ffn_up", "feed_forward.w3"},
    NameRow{"ffn_down", "feed_forward.w2"},
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
    GgufArchitecture{"lfm2", "lfm2", false, kLfm2Names},
};

}  // namespace

const GgufArchitecture& gguf_architecture(const GgufFile& file) {
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
  for (const auto rows : {arch.own, std::span<const NameRow>(kCommonNames)}) {
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

}  // namespace skua
