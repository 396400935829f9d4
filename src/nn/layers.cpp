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

Embedding::Embedding(const Scope& w, int vocab_size, int dim)
    : weight_(w.take_matrix(vocab_size, dim)), compute_(w.compute()) {}

mx::array Embedding::operator()(const mx::array& ids) const {
  return embedding(ids, weight_, compute_);
}

mx::array Embedding::as_linear(const mx::array& x) const {
  return linear(x, weight_);
}

RmsNorm::RmsNorm(const Scope& w, int dim, float eps, Stored stored)
    : norm_{w.take_vector("weight", dim), eps} {
  if (stored == Stored::kWeightMinusOne)
    norm_.weight = mx::add(norm_.weight, mx::array(1.0f, norm_.weight.dtype()));
  norm_.weight.eval();
}

mx::array RmsNorm::operator()(const mx::array& x) const {
  return rms_norm(x, norm_.weight, norm_.eps);
}

GatedMlp::GatedMlp(const Scope& w, int dim, int hidden_dim, Gate activation,
                   const Names& names)
    : gate_(w / names.gate, dim, hidden_dim),
      up_(w / names.up, dim, hidden_dim),
      down_(w / names.down, hidden_dim, dim),
      activation_(activation) {}

mx::array GatedMlp::operator()(const mx::array& x, const RmsNorm& norm,
                               Residual residual) const {
  const bool add_input = residual == Residual::kInput;
  if (!gate_.bias() && !up_.bias() && !down_.bias()) {
    return gated_mlp(
        x, norm.norm(),
        {&gate_.weight(), &up_.weight(), &down_.weight(), activation_},
        add_input);
  }
  const mx::array h = norm(x);
  return down_(gated(activation_, gate_(h), up_(h)),
               add_input ? std::optional(x) : std::nullopt);
}

}  // namespace skua
