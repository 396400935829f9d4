#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/filters.h"

namespace skua {

/** The probabilities of the tokens that filters left. Its buffers serve any
 *  number of sequences, one after the other. */
class Distribution {
 public:
  /** softmax(logits / temperature), computed in float32 by division.
   *  temperature  above 0; taken to the nearest normal float32
   *  filtered     valid until the next call */
  void set(const Filtered& filtered, double temperature);
  /** Leaves out tokens whose surprise is above so many bits, but for the
   *  likeliest: mirostat's cut. */
  void cut_surprise(double bits);

  /** The first token at which the probabilities so far exceed `uniform`; never
   *  one of probability 0. */
  std::int32_t draw(double uniform) const;
  /** Of a token; 0 if it was left out. */
  double probability(std::int32_t id) const;
  /** Of each token: [vocab_size], with sum 1. */
  std::vector<double> dense(std::size_t vocab_size) const;

 private:
  std::int32_t id_at(std::size_t i) const {
    return ids_.empty() ? static_cast<std::int32_t>(i) : ids_[i];
  }

  std::span<const std::int32_t> ids_;
  std::size_t n_ = 0;
  std::vector<float> weights_;  // the first n_
  std::vector<double> sums_;    // of blocks of the weights
  double total_ = 0;
};

/** The first token at which the probabilities so far exceed `uniform` of their
 *  sum, which need not be 1; never one of probability 0. Throws InvalidInput
 *  if all are 0. */
std::int32_t draw_from(std::span<const double> probabilities, double uniform);

}  // namespace skua
