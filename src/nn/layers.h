#pragma once

#include <optional>
#include <string>

#include "kernels/blocks.h"
#include "kernels/linear.h"
#include "nn/weights.h"

namespace skua {

/** x w^T + bias, with a bias where the checkpoint has one. */
class Linear {
 public:
  /** Throws InvalidInput unless `weight` is [out, in]. */
  Linear(const Scope& w, int in, int out);
  /** x [T, in] -> [T, out], with `residual` [T, out] added. */
  mx::array operator()(
      const mx::array& x,
      const std::optional<mx::array>& residual = std::nullopt) const;

  const WeightMatrix& weight() const { return weight_; }
  const std::optional<mx::array>& bias() const { return bias_; }

 private:
  WeightMatrix weight_;
  std::optional<mx::array> bias_;
};

/** Token embeddings, which also serve as the output head where it is tied. */
class Embedding {
 public:
  Embedding(const Scope& w, int vocab_size, int dim);
  /** ids [T] int32 -> [T, dim] */
  mx::array operator()(const mx::array& ids) const;
  /** x [T, dim] -> [T, vocab_size] */
  mx::array as_linear(const mx::array& x) const;

 private:
  WeightMatrix weight_;
  mx::Dtype compute_;
};

/** RMS norm over the last axis, its weight stored as w or as w - 1. */
class RmsNorm {
 public:
  enum class Stored { kWeight, kWeightMinusOne };

  RmsNorm(const Scope& w, int dim, float eps, Stored stored = Stored::kWeight);
  mx::array operator()(const mx::array& x) const;

  const Norm& norm() const { return norm_; }

 private:
  Norm norm_;
};

/** Whether a layer adds its input to its result. */
enum class Residual { kNone, kInput };

/** down(activation(gate(h)) * up(h)) of h = norm(x), the feed-forward part of
 *  Llama and its kin. Source: arXiv 2002.05202. */
class GatedMlp {
 public:
  /** What a checkpoint calls the matrices. */
  struct Names {
    std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
  };

  GatedMlp(const Scope& w, int dim, int hidden_dim, Gate activation)
      : GatedMlp(w, dim, hidden_dim, activation, Names()) {}
  GatedMlp(const Scope& w, int dim, int hidden_dim, Gate activation,
           const Names& names);
  /** x [T, dim] -> [T, dim] */
  mx::array operator()(const mx::array& x, const RmsNorm& norm,
                       Residual residual) const;

 private:
  Linear gate_, up_, down_;
  Gate activation_;
};

}  // namespace skua
