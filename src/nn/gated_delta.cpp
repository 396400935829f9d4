#include "nn/gated_delta.h"

#include <mlx/linalg.h>
#include <mlx/mlx.h>

#include "kernels/primitive.h"
#include "nn/decay.h"
#include "skua/error.h"

namespace skua {
namespace {

// Rows are q, k, v, log_decay and beta.
StateResult step(const Recurrence::Rows& rows, const mx::array& state) {
  return state_step({rows[0], rows[1], rows[2], rows[3], rows[4]}, state);
}

StateResult chunk(const Recurrence::Rows& rows, const mx::array& state) {
  const auto by_head = [](const mx::array& x) {
    return mx::swapaxes(x, 0, 1);  // [H, L, ...]
  };
  const auto turned = [](const mx::array& x) {
    return mx::swapaxes(x, -1, -2);
  };
  const mx::array q = by_head(rows[0]), k = by_head(rows[1]),
                  v = by_head(rows[2]);
  const Decay decay = decay_of(by_head(rows[3]));
  const mx::array beta = mx::expand_dims(by_head(rows[4]), -1);  // [H, L, 1]
  const mx::array from_start = mx::expand_dims(decay.from_start, -1);
  const mx::array k_k = mx::multiply(mx::matmul(k, turned(k)), decay.between);
  const mx::array system =
      mx::add(mx::tril(mx::multiply(k_k, beta), -1), mx::eye(k.shape(1)));
  const mx::array known =
      mx::multiply(mx::matmul(k, turned(state)), from_start);
  const mx::array u =
      mx::matmul(mx::linalg::tri_inv(system, false, mx::Device::cpu),
                 mx::multiply(mx::subtract(v, known), beta));  // [H, L, V]
  const mx::array q_k = mx::multiply(mx::matmul(q, turned(k)), decay.between);
  const mx::array y =
      mx::add(mx::matmul(q_k, u),
              mx::multiply(mx::matmul(q, turned(state)), from_start));
  const mx::array left = mx::multiply(u, mx::expand_dims(decay.to_end, -1));
  const mx::array whole = mx::expand_dims(mx::expand_dims(decay.whole, -1), -1);
  return {by_head(y),
          mx::add(mx::multiply(state, whole), mx::matmul(turned(left), k))};
}

}  // namespace

mx::array gated_delta(const DeltaRows& rows, const Batch& batch,
                      StateCache& states, int slot) {
  const mx::Shape& k = rows.k.shape();
  const mx::Shape& v = rows.v.shape();
  if (k.size() != 3 || v.size() != 3 || rows.q.shape() != k || v[0] != k[0] ||
      v[1] != k[1] || rows.beta.shape() != mx::Shape{k[0], k[1]} ||
      rows.log_decay.shape() != rows.beta.shape()) {
    throw InvalidInput("gated delta", "k is " + shape_text(k) + " and v " +
                                          shape_text(v) +
                                          ", expected [T, H, K] and [T, H, V]");
  }
  const Recurrence recurrence{{k[1], v[2], k[2]}, step, chunk};
  Recurrence::Rows wide;
  for (const mx::array& x : {rows.q, rows.k, rows.v, rows.log_decay, rows.beta})
    wide.push_back(mx::astype(x, mx::float32));
  return run(recurrence, wide, batch, states, slot);
}

}  // namespace skua
