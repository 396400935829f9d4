#pragma once

#include "kernels/experts.h"
#include "nn/layers.h"

namespace skua {

struct MoeConfig {
  int dim = 0;
  int hidden_dim = 0;  // of an expert
  int n_experts = 0;
  int n_active = 0;              // experts of a token
  bool normalize_scores = true;  // those of a token's experts sum to 1
};

/** Feed-forward experts, of which a router (`gate`) finds each token some by
 *  softmax. They lie stacked under switch_mlp, or one by one under experts. */
class MixtureOfExperts {
 public:
  /** w  of the feed-forward part. Throws InvalidInput as its parts do. */
  MixtureOfExperts(const Scope& w, const MoeConfig& config);
  /** h [T, dim] -> [T, dim] */
  mx::array operator()(const mx::array& h) const;

 private:
  MoeConfig config_;
  Linear router_;
  ExpertMatrices gate_, up_, down_;
};

}  // namespace skua
