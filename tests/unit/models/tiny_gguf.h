#pragma once

#include <random>

#include "tests/unit/models/gguf_writer.h"

namespace skua::test {

constexpr int kTinyVocab = 11, kTinyDim = 32, kTinyHidden = 48;
constexpr int kTinyHeads = 4, kTinyKvHeads = 2, kTinyHeadDim = 8;

inline std::vector<float> random_values(std::int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, 0.3f);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = normal(engine);
  return values;
}

/** A whole model of one layer, without a tokenizer, in float32. */
inline GgufWriter tiny_gguf(const std::string& arch) {
  GgufWriter file;
  file.text("general.architecture", arch)
      .integer(arch + ".embedding_length", kTinyDim)
      .integer(arch + ".block_count", 1)
      .integer(arch + ".feed_forward_length", kTinyHidden)
      .integer(arch + ".attention.head_count", kTinyHeads)
      .integer(arch + ".attention.head_count_kv", kTinyKvHeads)
      .number(arch + ".attention.layer_norm_rms_epsilon", 1e-5f)
      .integer(arch + ".context_length", 64)
      .number(arch + ".rope.freq_base", 100);
  const auto add = [&](const std::string& name,
                       std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const std::int64_t d : shape) n *= d;
    const auto seed = static_cast<unsigned>(std::hash<std::string>()(name));
    file.tensor(name, std::move(shape), random_values(n, seed));
  };
  add("token_embd.weight", {kTinyVocab, kTinyDim});
  add("output_norm.weight", {kTinyDim});
  add("blk.0.attn_norm.weight", {kTinyDim});
  add("blk.0.ffn_norm.weight", {kTinyDim});
  add("blk.0.attn_q.weight", {kTinyHeads * kTinyHeadDim, kTinyDim});
  add("blk.0.attn_k.weight", {kTinyKvHeads * kTinyHeadDim, kTinyDim});
  add("blk.0.attn_v.weight", {kTinyKvHeads * kTinyHeadDim, kTinyDim});
  add("blk.0.attn_output.weight", {kTinyDim, kTinyHeads * kTinyHeadDim});
  add("blk.0.ffn_gate.weight", {kTinyHidden, kTinyDim});
  add("blk.0.ffn_up.weight", {kTinyHidden, kTinyDim});
  add("blk.0.ffn_down.weight", {kTinyDim, kTinyHidden});
  return file;
}

}  // namespace skua::test
