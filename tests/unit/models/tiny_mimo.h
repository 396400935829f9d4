#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/safetensors.h"
#include "tests/support.h"

namespace skua::test {

using Row = std::vector<double>;

/** A checkpoint's config and its tensors as float32, to be changed and
 *  written. */
struct TinyCheckpoint {
  struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };

  static TinyCheckpoint read(const std::filesystem::path& folder) {
    TinyCheckpoint checkpoint{read_json(folder / "config.json"), {}};
    const SafetensorsFile file(folder / "model.safetensors");
    for (const SafeTensor& t : file.tensors()) {
      if (t.dtype != SafeDtype::kF32)
        throw std::invalid_argument(t.name + " is not float32");
      Tensor& tensor = checkpoint.tensors[t.name];
      tensor.shape = t.shape;
      tensor.values.resize(t.data.size() / sizeof(float));
      std::memcpy(tensor.values.data(), t.data.data(), t.data.size());
    }
    return checkpoint;
  }

  void write(const std::filesystem::path& folder) const {
    write_text(folder / "config.json", dump_json(config));
    std::vector<SafeTensor> all;
    for (const auto& [name, t] : tensors) {
      all.push_back(
          {name, SafeDtype::kF32, t.shape, std::as_bytes(std::span(t.values))});
    }
    write_safetensors(folder / "model.safetensors", all, {});
  }

  /** Normal numbers around `mean`, by the name alone. */
  void add(const std::string& name, const std::vector<std::int64_t>& shape,
           float mean, float deviation) {
    std::size_t n = 1;
    for (const std::int64_t d : shape) n *= static_cast<std::size_t>(d);
    std::seed_seq seed(name.begin(), name.end());
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(mean, deviation);
    Tensor& tensor = tensors[name];
    tensor.shape = shape;
    tensor.values.resize(n);
    for (float& value : tensor.values) value = normal(engine);
  }
  void fill(const std::string& name, float value) {
    std::ranges::fill(tensors.at(name).values, value);
  }

  const std::vector<float>& at(const std::string& name) const {
    return tensors.at(name).values;
  }
  int size(const char* key) const { return config.at(key).get<int>(); }

  Json config;
  std::map<std::string, Tensor> tensors;
};

const std::string kMimoHead = "model.mtp_layers.0.";

/** The golden MiMo, to which a head of normal numbers is added. */
inline TinyCheckpoint tiny_mimo(const std::filesystem::path& golden) {
  TinyCheckpoint c = TinyCheckpoint::read(golden);
  const int dim = c.size("hidden_size"), mlp = c.size("intermediate_size");
  const int kv =
      dim / c.size("num_attention_heads") * c.size("num_key_value_heads");
  for (const char* norm :
       {"token_layernorm", "hidden_layernorm", "input_layernorm",
        "post_attention_layernorm", "final_layernorm"}) {
    c.add(kMimoHead + norm + ".weight", {dim}, 1, 0.3f);
  }
  c.add(kMimoHead + "input_proj.weight", {dim, 2 * dim}, 0, 0.15f);
  for (const auto& [name, rows] :
       {std::pair("q", dim), std::pair("k", kv), std::pair("v", kv)}) {
    const std::string path = kMimoHead + "self_attn." + name + "_proj.";
    c.add(path + "weight", {rows, dim}, 0, 0.3f);
    c.add(path + "bias", {rows}, 0, 0.5f);
  }
  c.add(kMimoHead + "self_attn.o_proj.weight", {dim, dim}, 0, 0.2f);
  c.add(kMimoHead + "mlp.gate_proj.weight", {mlp, dim}, 0, 0.2f);
  c.add(kMimoHead + "mlp.up_proj.weight", {mlp, dim}, 0, 0.2f);
  c.add(kMimoHead + "mlp.down_proj.weight", {dim, mlp}, 0, 0.2f);
  return c;
}

/** x w^T + b of one row, in float64. */
inline Row product(const TinyCheckpoint& c, const std::string& path,
                   const Row& x) {
  const std::vector<float>& w = c.at(path + ".weight");
  Row y(w.size() / x.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t j = 0; j < x.size(); ++j)
      y[i] += double{w[i * x.size() + j]} * x[j];
    if (c.tensors.contains(path + ".bias")) y[i] += c.at(path + ".bias")[i];
  }
  return y;
}

/** The head's layer written out in float64, of a whole text at once.
 *  Sources: vLLM mimo_mtp.py, transformers modeling_qwen2.py. */
class MimoReference {
 public:
  explicit MimoReference(const TinyCheckpoint& checkpoint) : c_(checkpoint) {}

  /** Appends a row: the hidden state at its position and the token after it.
   *  Returns the head's own hidden state there. */
  Row append(const Row& hidden, std::int32_t next_token) {
    Row joined = norm("hidden_layernorm", hidden);
    const Row token = norm("token_layernorm", embedding(next_token));
    joined.insert(joined.end(), token.begin(), token.end());
    Row x = product(c_, kMimoHead + "input_proj", joined);
    add(x, attention(norm("input_layernorm", x)));
    add(x, mlp(norm("post_attention_layernorm", x)));
    return norm("final_layernorm", x);
  }
  Row logits(const Row& hidden) const { return product(c_, "lm_head", hidden); }
  void trim(std::size_t n) {
    keys_.resize(n);
    values_.resize(n);
  }

 private:
  static void add(Row& x, const Row& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  Row embedding(std::int32_t token) const {
    const std::vector<float>& w = c_.at("model.embed_tokens.weight");
    const auto dim = c_.size("hidden_size");
    const auto begin = w.begin() + std::ptrdiff_t{token} * dim;
    return {begin, begin + dim};
  }

  Row norm(const std::string& name, Row x) const {
    double squares = 0;
    for (const double value : x) squares += value * value;
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(x.size()) +
                      c_.config.at("rms_norm_eps").get<double>());
    const std::vector<float>& w = c_.at(kMimoHead + name + ".weight");
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= scale * w[i];
    return x;
  }

  // Each head's first half against its second.
  void rotate(Row& x, std::size_t position) const {
    const std::size_t d = head_dim(), half = d / 2;
    for (std::size_t h = 0; h < x.size(); h += d) {
      for (std::size_t i = 0; i < half; ++i) {
        const double theta = c_.config.at("rope_theta").get<double>();
        const double angle = static_cast<double>(position) *
                             std::pow(theta, -2.0 * static_cast<double>(i) /
                                                 static_cast<double>(d));
        const double a = x[h + i], b = x[h + half + i];
        x[h + i] = a * std::cos(angle) - b * std::sin(angle);
        x[h + half + i] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }

  Row attention(const Row& x) {
    const std::string path = kMimoHead + "self_attn.";
    Row q = product(c_, path + "q_proj", x);
    keys_.push_back(product(c_, path + "k_proj", x));
    values_.push_back(product(c_, path + "v_proj", x));
    const std::size_t position = keys_.size() - 1, d = head_dim();
    rotate(q, position);
    rotate(keys_.back(), position);
    const std::size_t n_shared = q.size() / keys_.back().size();
    Row all(q.size());
    for (std::size_t h = 0; h * d < q.size(); ++h) {
      const std::size_t kv = h / n_shared * d;
      Row weights;
      double total = 0;
      for (const Row& key : keys_) {
        double score = 0;
        for (std::size_t i = 0; i < d; ++i) score += q[h * d + i] * key[kv + i];
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
        total += weights.back();
      }
      for (std::size_t s = 0; s < values_.size(); ++s)
        for (std::size_t i = 0; i < d; ++i)
          all[h * d + i] += weights[s] / total * values_[s][kv + i];
    }
    return product(c_, path + "o_proj", all);
  }

  Row mlp(const Row& x) const {
    Row gate = product(c_, kMimoHead + "mlp.gate_proj", x);
    const Row up = product(c_, kMimoHead + "mlp.up_proj", x);
    for (std::size_t i = 0; i < gate.size(); ++i)
      gate[i] *= up[i] / (1 + std::exp(-gate[i]));
    return product(c_, kMimoHead + "mlp.down_proj", gate);
  }

  std::size_t head_dim() const {
    return static_cast<std::size_t>(c_.size("hidden_size") /
                                    c_.size("num_attention_heads"));
  }

  const TinyCheckpoint& c_;
  std::vector<Row> keys_, values_;
};

}  // namespace skua::test
