#pragma once

#include <optional>
#include <vector>

#include "kernels/deterministic_scope.h"
#include "kernels/weight_matrix.h"

namespace skua {

/** What a primitive keeps of a matrix whose arrays are among its inputs. */
class MatrixInput {
 public:
  /** Appends the arrays of w. */
  MatrixInput(const WeightMatrix& w, std::vector<mx::array>& inputs)
      : quantization_(w.quantization),
        precision_(DeterministicScope::limit(w.precision)),
        scaled_(w.scales.has_value()),
        biased_(w.biases.has_value()),
        moving_(w.moving),
        at_(inputs.size()) {
    inputs.push_back(w.weight);
    if (w.scales) inputs.push_back(*w.scales);
    if (w.biases) inputs.push_back(*w.biases);
  }

  /** The matrix in memory, when the primitive is evaluated. */
  cpu::MatrixView view(const std::vector<mx::array>& in) const {
    WeightMatrix w{in[at_],       std::nullopt, std::nullopt,
                   quantization_, precision_,   moving_};
    if (scaled_) w.scales = in[at_ + 1];
    if (biased_) w.biases = in[at_ + 2];
    return skua::view(w);
  }

 private:
  Quantization quantization_;
  Precision precision_;
  bool scaled_, biased_;
  std::shared_ptr<const MovingBytes> moving_;
  std::size_t at_;
};

}  // namespace skua
