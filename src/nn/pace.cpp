#include "nn/pace.h"

#include <mlx/transforms.h>

#include "kernels/primitive.h"

namespace skua {

// A layer of fewer rows is done before a wait would have ended.
constexpr int kLeastRows = 32;

Pace::Pace(const Batch& batch)
    : needed_(batch.n_rows() >= kLeastRows && runs_on_cpu()) {}

void Pace::operator()(const mx::array& x) {
  if (!needed_) return;
  mx::async_eval(x);
  if (before_) before_->wait();
  before_ = x;
}

}  // namespace skua
