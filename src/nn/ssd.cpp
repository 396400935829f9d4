#include "nn/ssd.h"

#include <mlx/mlx.h>

#include "kernels/primitive.h"
#include "nn/decay.h"
#include "skua/error.h"

namespace skua {
namespace {

// H heads of P numbers, R to each of G groups; N numbers of state for each.
struct Sizes {
  int h, p, g, r, n;
};

// Rows are dt x, b, c and dt a.
StateResult step(const Recurrence::Rows& rows, const mx::array& state) {
  return state_step({rows[2], rows[1], rows[0], rows[3], {}}, state);
}

// [L, G * R, P] as [G, R, L, P].
mx::array by_head(const mx::array& x, const Sizes& z) {
  const mx::array heads = mx::transpose(x, {1, 0, 2});
  return mx::reshape(heads, {z.g, z.r, x.shape(0), x.shape(2)});
}

StateResult chunk(const Sizes& z, const Recurrence::Rows& rows,
                  const mx::array& state) {
  const int length = rows[0].shape(0);
  const mx::array dtx = by_head(rows[0], z);
  const auto of_group = [](const mx::array& x) {
    return mx::expand_dims(mx::transpose(x, {1, 0, 2}), 1);
  };
  const mx::array b = of_group(rows[1]), c = of_group(rows[2]);  // [G,1,L,N]
  const Decay decay = decay_of(mx::transpose(rows[3]));
  const mx::Shape heads = {z.g, z.r, length, length};
  const mx::array weights = mx::multiply(mx::matmul(c, mx::swapaxes(b, -1, -2)),
                                         mx::reshape(decay.between, heads));
  const mx::array old = mx::reshape(state, {z.g, z.r, z.p, z.n});
  const mx::array from_state =
      mx::multiply(mx::matmul(c, mx::swapaxes(old, -1, -2)),
                   mx::reshape(decay.from_start, {z.g, z.r, length, 1}));
  const mx::array y = mx::add(mx::matmul(weights, dtx), from_state);
  const mx::array left =
      mx::multiply(dtx, mx::reshape(decay.to_end, {z.g, z.r, length, 1}));
  const mx::array now =
      mx::add(mx::multiply(old, mx::reshape(decay.whole, {z.g, z.r, 1, 1})),
              mx::matmul(mx::swapaxes(left, -1, -2), b));
  return {mx::transpose(mx::reshape(y, {z.h, length, z.p}), {1, 0, 2}),
          mx::reshape(now, {z.h, z.p, z.n})};
}

}  // namespace

mx::array ssd(const SsdRows& rows, const mx::array& a, const Batch& batch,
              StateCache& states, int slot) {
  const mx::Shape& x = rows.x.shape();
  const mx::Shape& b = rows.b.shape();
  if (x.size() != 3 || b.size() != 3 || rows.c.shape() != b || x[0] != b[0] ||
      b[1] == 0 || x[1] % b[1] != 0 ||
      rows.dt.shape() != mx::Shape{x[0], x[1]} ||
      a.shape() != mx::Shape{x[1]}) {
    throw InvalidInput("ssd", "x is " + shape_text(x) + " and b " +
                                  shape_text(b) +
                                  ", expected [T, H, P] and [T, G, N]");
  }
  const Sizes z{x[1], x[2], b[1], x[1] / b[1], b[2]};
  const auto wide = [](const mx::array& v) {
    return mx::astype(v, mx::float32);
  };
  const Recurrence recurrence{
      {z.h, z.p, z.n}, step, [&](const auto& r, const mx::array& s) {
        return chunk(z, r, s);
      }};
  return run(recurrence,
             {mx::multiply(wide(rows.x), mx::expand_dims(rows.dt, -1)),
              wide(rows.b), wide(rows.c), wide(mx::multiply(rows.dt, a))},
             batch, states, slot);
}

}  // namespace skua
