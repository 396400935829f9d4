#include "nn/causal_conv.h"

#include <mlx/mlx.h>

#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

mx::array rows(const mx::array& x, int first, int n) {
  return mx::slice(x, {first, 0}, {first + n, x.shape(1)});
}

}  // namespace

CausalConv::CausalConv(const Scope& w, int channels, int n_taps)
    : channels_(channels), n_taps_(n_taps) {
  mx::array weight = w.take("weight");
  if (weight.shape() == mx::Shape{channels, 1, n_taps})
    weight = mx::swapaxes(weight, 1, 2);
  if (weight.shape() != mx::Shape{channels, n_taps, 1}) {
    throw InvalidInput(
        w.where(), "weight is " + shape_text(weight.shape()) + ", expected " +
                       shape_text(mx::Shape{channels, n_taps, 1}));
  }
  for (int k = 0; k < n_taps; ++k) {
    taps_.push_back(mx::contiguous(mx::astype(
        mx::reshape(mx::take(weight, k, 1), {channels}), w.compute())));
    taps_.back().eval();
  }
  if (w.has("bias")) bias_ = w.take_vector("bias", channels);
}

mx::array CausalConv::operator()(const mx::array& x, const Batch& batch,
                                 StateCache& states) const {
  const int n_before = n_taps_ - 1;
  // Each sequence's rows, after those before them.
  std::vector<mx::array> parts;
  std::vector<std::int32_t> first_tap;  // of each row, in all parts
  for (const Segment& s : batch.segments) {
    parts.push_back(states.get(s.sequence, s.position, 0)
                        .value_or(mx::zeros({n_before, channels_}, x.dtype())));
    parts.push_back(rows(x, s.first_row, s.n_rows));
    const auto at = static_cast<int>(first_tap.size()) +
                    n_before * static_cast<int>(parts.size() / 2 - 1);
    for (int row = 0; row < s.n_rows; ++row) first_tap.push_back(at + row);
  }
  const mx::array all = mx::concatenate(parts, 0);
  for (const Segment& s : batch.segments) {
    const int at = first_tap[static_cast<std::size_t>(s.first_row)];
    for (const int n : s.ends())
      states.set(s.sequence, s.position + n, 0, rows(all, at + n, n_before));
  }
  const int n = batch.n_rows();
  const bool alone = batch.segments.size() == 1;
  const mx::array places(first_tap.begin(), {n}, mx::int32);
  std::optional<mx::array> sum;
  for (int k = 0; k < n_taps_; ++k) {
    const mx::array seen =
        alone ? rows(all, k, n)
              : mx::take(all, mx::add(places, mx::array(k)), 0);
    const mx::array part =
        mx::multiply(seen, taps_[static_cast<std::size_t>(k)]);
    sum = sum ? mx::add(*sum, part) : part;
  }
  return bias_ ? mx::add(*sum, *bias_) : *sum;
}

}  // namespace skua
