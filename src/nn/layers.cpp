#include "nn/layers.h"

#include <mlx/mlx.h>

namespace skua {

Linear::Linear(const Scope& w, int in, int out)
    : weight_(w.take_matrix(out, in)) {
  if (w.has("bias")) bias_ = w.take_vector("bias", out);
}

mx::array Linear::operator()(const mx::array& x,
                             const std::optional<mx::array>& residual) const {
  return linears(x, {{&weight_, bias_, residual}})[0];
}

std::vector<mx::array> apply_each(const mx::array& x,
                                  const std::vector<const Linear*>& layers) {
  std::vector<LinearPart> parts;
  for (const Linear* layer : layers)
    parts.push_back({&layer->weight(), layer->bias()});
  return linears(x, parts);
}

Embedding::Embedding(const Scope& w, int vocab_size, int dim)
    : weight_(w.take_matrix(vocab_size, dim)), compute_(w.compute()) {}

mx::array Embedding::operator()(const mx::array& ids) const {
  return embedding(ids, weight_, compute_);
}

mx::array Embedding::as_linear(const mx::array& x) const {
  return linear(x, weight_);
}

RmsNorm::RmsNorm(const Scope& w, int dim, float eps, Stored stored)
    : weight_(w.take_vector("weight", dim)), eps_(eps) {
  if (stored == Stored::kWeightMinusOne)
    weight_ = mx::add(weight_, mx::array(1.0f, weight_.dtype()));
  weight_.eval();
}

mx::array RmsNorm::operator()(const mx::array& x) const {
  return rms_norm(x, weight_, eps_);
}

GatedMlp::GatedMlp(const Scope& w, int dim, int hidden_dim, Gate activation)
    : gate_(w / "gate_proj", dim, hidden_dim),
      up_(w / "up_proj", dim, hidden_dim),
      down_(w / "down_proj", hidden_dim, dim),
      activation_(activation) {}

mx::array GatedMlp::operator()(const mx::array& x,
                               const std::optional<mx::array>& residual) const {
  if (gate_.bias() || up_.bias()) {
    const auto parts = apply_each(x, {&gate_, &up_});
    return down_(gated(activation_, parts[0], parts[1]), residual);
  }
  return down_(gated_linear(activation_, x, gate_.weight(), up_.weight()),
               residual);
}

}  // namespace skua
