#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/likeliest.h"
#include "skua/generation.h"

namespace skua {

/** XTC's turn: whether its coin came up, and the tokens that it spares,
 *  sorted. */
struct Xtc {
  bool on = false;
  std::span<const std::int32_t> spares = {};
};

struct Filtered {
  TokenSpan tokens;
  float largest = 0;  // of their logits
};

/** Finds which tokens the options from top_p to top_n_sigma leave in. Its
 *  buffers serve any number of sequences, one after the other. */
class Filters {
 public:
  /** At least one token stays. Valid until the next call.
   *  logits   [V], the tokens may be all of them
   *  largest  of them; they are usable as cpu::largest_of has it */
  Filtered apply(std::span<const float> logits, float largest,
                 const GenerationOptions& options, const Xtc& xtc);

  /** The n likeliest tokens of finite logit or as many as there are, in no
   *  order. Valid until the next call. */
  TokenSpan likeliest(std::span<const float> logits, float largest, int n);

 private:
  void take(TokenSpan tokens);
  TokenSpan taken() const { return {{logits_.data(), n_}, {ids_.data(), n_}}; }
  void keep_from(float least);
  void leave_out_top_choices(double threshold, const Xtc& xtc);
  void keep_first(int n);
  void keep_typical(double mass);

  Likeliest likeliest_;
  // The first n_ are the tokens left, in the order of their ids.
  std::vector<float> logits_;
  std::vector<std::int32_t> ids_;
  std::size_t n_ = 0;
  std::vector<float> weights_, nearness_;
};

/** The entropy in nats of the distribution e^logits, and the logarithm of the
 *  sum that normalises it: of e^(logits - largest).
 *  weights  [n], filled with e^(logits - largest) */
struct Entropy {
  double nats = 0;
  double log_total = 0;
};
Entropy entropy_of(std::span<const float> logits, float largest,
                   std::vector<float>& weights);

}  // namespace skua
