#include "kernels/cpu/elementwise.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"

// clang-format off: foreach_target comes before all that it repeats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/cpu/exponential-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

void rms_norm_row(const float* x, const float* weight, std::size_t n, float eps,
                  float* y) {
  const Floats df;
  const std::size_t lanes = hn::Lanes(df);
  auto squares = hn::Zero(df);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::LoadU(df, x + i);
    squares = hn::MulAdd(v, v, squares);
  }
  float sum = hn::GetLane(hn::SumOfLanes(df, squares));
  for (; i < n; ++i) sum += x[i] * x[i];
  const float factor = 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
  for (i = 0; i + lanes <= n; i += lanes) {
    const auto scaled = hn::Mul(hn::LoadU(df, x + i), hn::Set(df, factor));
    hn::StoreU(hn::Mul(scaled, hn::LoadU(df, weight + i)), df, y + i);
  }
  for (; i < n; ++i) y[i] = x[i] * factor * weight[i];
}

// 1 / x of 1 to 2, to 2 units in the last place.
HWY_INLINE Vector reciprocal(Vector x) {
  const Floats df;
#if HWY_TARGET <= HWY_AVX3
  // 14 bits, doubled by a step of Newton's: a fifth of a division's time.
  const auto rough = hn::ApproximateReciprocal(x);
  return hn::MulAdd(rough, hn::NegMulAdd(x, rough, hn::Set(df, 1.0f)), rough);
#else
  return hn::Div(hn::Set(df, 1.0f), x);
#endif
}

HWY_INLINE Vector silu(Vector x) {
  const Floats df;
  const auto one = hn::Set(df, 1.0f);
  // With e = e^-|x|: x / (1 + e), times e below 0.
  const auto e = exponential(df, hn::Neg(hn::Abs(x)));
  const auto share = hn::Mul(x, reciprocal(hn::Add(one, e)));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(df)), hn::Mul(share, e), share);
}

Vector gelu_tanh(Vector x) {
  const Floats df;
  const auto cubic =
      hn::MulAdd(hn::Mul(hn::Set(df, 0.044715f), hn::Mul(x, x)), x, x);
  const auto inner = hn::Mul(hn::Set(df, 0.7978845608028654f), cubic);
  const auto half = hn::Mul(hn::Set(df, 0.5f), x);
  return hn::MulAdd(half, hn::Tanh(df, inner), half);
}

template <class Activation>
void gate_with(Activation activation, const float* gate, const float* up,
               std::size_t n, float* y) {
  const Floats df;
  const std::size_t lanes = hn::Lanes(df);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto g = activation(hn::LoadU(df, gate + i));
    hn::StoreU(hn::Mul(g, hn::LoadU(df, up + i)), df, y + i);
  }
  for (; i < n; ++i)
    y[i] = hn::GetLane(activation(hn::Set(df, gate[i]))) * up[i];
}

void silu_gate_range(const float* gate, const float* up, std::size_t n,
                     float* y) {
  gate_with([](Vector x) { return silu(x); }, gate, up, n, y);
}

void gelu_tanh_gate_range(const float* gate, const float* up, std::size_t n,
                          float* y) {
  gate_with([](Vector x) { return gelu_tanh(x); }, gate, up, n, y);
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua::cpu {

HWY_EXPORT(rms_norm_row);
HWY_EXPORT(silu_gate_range);
HWY_EXPORT(gelu_tanh_gate_range);

namespace {

// Calls body(begin, end) over pieces of [0, n) of about `size`; small ranges
// stay on this thread, where waking another would cost more.
template <class Body>
void in_pieces(std::size_t n, std::size_t size, const Body& body) {
  const std::size_t n_pieces = (n + size - 1) / size;
  if (n_pieces <= 1) return body(0, n);
  parallel_for(n_pieces, [&](std::size_t i) {
    body(i * size, std::min((i + 1) * size, n));
  });
}

constexpr std::size_t kPieceFloats = 16 * 1024;

}  // namespace

void rms_norm(const float* x, const float* weight, std::size_t n_rows,
              std::size_t n_cols, float eps, float* y) {
  const std::size_t rows = std::max<std::size_t>(1, kPieceFloats / n_cols);
  in_pieces(n_rows, rows, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      HWY_DYNAMIC_DISPATCH(rms_norm_row)
      (x + r * n_cols, weight, n_cols, eps, y + r * n_cols);
    }
  });
}

void rope(const float* x, const float* cos, const float* sin,
          std::size_t n_rows, std::size_t n_heads, std::size_t head_dim,
          std::size_t half, bool interleaved, float* y) {
  const std::size_t step = interleaved ? 2 : 1;
  const std::size_t partner = interleaved ? 1 : half;
  const std::size_t width = n_heads * head_dim;
  const std::size_t rows = std::max<std::size_t>(1, kPieceFloats / width);
  in_pieces(n_rows, rows, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const float* c = cos + r * half;
      const float* s = sin + r * half;
      for (std::size_t h = 0; h < n_heads; ++h) {
        const float* in = x + r * width + h * head_dim;
        float* out = y + r * width + h * head_dim;
        for (std::size_t i = 0; i < half; ++i) {
          const float a = in[i * step];
          const float b = in[i * step + partner];
          out[i * step] = a * c[i] - b * s[i];
          out[i * step + partner] = a * s[i] + b * c[i];
        }
        if (out != in) std::copy(in + 2 * half, in + head_dim, out + 2 * half);
      }
    }
  });
}

void silu_gate(const float* gate, const float* up, std::size_t n, float* y) {
  in_pieces(n, kPieceFloats, [&](std::size_t begin, std::size_t end) {
    HWY_DYNAMIC_DISPATCH(silu_gate_range)
    (gate + begin, up + begin, end - begin, y + begin);
  });
}

void gelu_tanh_gate(const float* gate, const float* up, std::size_t n,
                    float* y) {
  in_pieces(n, kPieceFloats, [&](std::size_t begin, std::size_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_tanh_gate_range)
    (gate + begin, up + begin, end - begin, y + begin);
  });
}

}  // namespace skua::cpu
#endif  // HWY_ONCE
