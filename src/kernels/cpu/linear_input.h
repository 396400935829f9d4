#pragma once

#include <memory>

#include "kernels/cpu/matrix.h"

namespace skua::cpu {

struct Range {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};

/** Tokens that share a piece of weights: many enough to pay for unpacking it,
 *  and a whole number of every kernel's tiles. */
inline constexpr std::size_t kTokensPerChunk = 144;

/** What one thread computes of a product at a time. */
struct PieceSize {
  std::size_t n_rows = 64;
  std::size_t n_tokens = kTokensPerChunk;
};

/** y[i] = f(gate[i], up[i]) of n numbers; y may be gate. */
using GateFunction = void (*)(const float* gate, const float* up, std::size_t n,
                              float* y);

/** Activations x [n_tokens, n_cols] as one kernel wants them. */
class LinearInput {
 public:
  virtual ~LinearInput() = default;

  /** True if multiply() takes w, whose columns are x's. */
  virtual bool serves(const MatrixView& w) const = 0;

  /** The piece that multiply() computes best. */
  virtual PieceSize piece() const { return {}; }

  /** out[t, r] = x[tokens.begin + t] . w[rows.begin + r], with rows of `out`
   *  `stride` apart. tokens.begin is a multiple of kTokensPerChunk. Safe to
   *  call from several threads. A result depends on its two rows alone. */
  virtual void multiply(const MatrixView& w, Range rows, Range tokens,
                        float* out, std::size_t stride) const = 0;
};

/** Fewer tokens do not pay for a panel of widened weights. */
inline constexpr std::size_t kMinDensePanelTokens = 20;

/** For dense matrices; x must stay alive. Weights are widened exactly, and
 *  sums are float32: lane by lane in each block of 512 columns, then over the
 *  lanes, then over the blocks. With L lanes and n columns an error is at most
 *  (512 / L + 6 + n / 512) * 2^-24 * sum |x w|. What is not finite comes out as
 *  of any sum. */
std::unique_ptr<LinearInput> dense_input(const float* x, std::size_t n_tokens,
                                         std::size_t n_cols);

/** For any matrix that is not dense, in float32; x must stay alive. */
std::unique_ptr<LinearInput> exact_input(const float* x, std::size_t n_tokens,
                                         std::size_t n_cols);

/** True if int16_input takes w on this machine. */
bool has_int16_kernel(const MatrixView& w);

/** For matrices stored like w. x is rounded to 16-bit fixed point, with one
 *  scale for each token and group of w's columns; products and their sums over
 *  a group are exact whole numbers. With m_g the largest |x| of a group, an
 *  error is at most the sum over g of m_g / 65278 * sum |w|, plus float32
 *  rounding. */
std::unique_ptr<LinearInput> int16_input(const MatrixView& w, const float* x,
                                         std::size_t n_tokens);

/** The names of their kernels for n_tokens, for people. */
const char* dense_kernel_name(std::size_t n_tokens);
const char* int16_kernel_name(const MatrixView& w, std::size_t n_tokens);

/** The input that w's encoding and precision ask for; x must stay alive. */
std::unique_ptr<LinearInput> linear_input(const MatrixView& w, const float* x,
                                          std::size_t n_tokens);
/** The name of the kernel that it brings; w needs no memory. */
const char* linear_kernel_name(const MatrixView& w, std::size_t n_tokens);

/** Fewer tokens do not pay for the tiles. Of packed codes in groups of 64 or
 *  more kMinFewTokens do, and up to kMaxFewTokens tiles of bfloat16 are no
 *  faster. */
inline constexpr std::size_t kMinAmxTokens = 5;
inline constexpr std::size_t kMinFewTokens = 3, kMaxFewTokens = 8;

/** True if amx_input takes packed codes apart while it multiplies. */
constexpr bool has_packed_tiles(const MatrixView& w) {
  return w.encoding == Encoding::kAffine && w.bits == 4 && w.n_cols % 64 == 0;
}

/** True if amx_input takes w at this process's level. */
bool has_amx_kernel(const MatrixView& w);

/** As int16_input, and with the same bits, on AMX tiles. */
std::unique_ptr<LinearInput> amx_input(const MatrixView& w, const float* x,
                                       std::size_t n_tokens);

/** Fewer tokens do not pay for decoding weights to bfloat16. */
inline constexpr std::size_t kMinBf16Tokens = 5;

/** True if products of this precision may round both factors to bfloat16. */
constexpr bool rounds_to_bf16(Precision precision) {
  return precision == Precision::kDefault || precision == Precision::kFast;
}

/** True if bf16_input takes w at this process's level. */
bool has_bf16_kernel(const MatrixView& w);

/** For matrices stored like w, on AMX tiles. Weights and activations are
 *  rounded to bfloat16, numbers below 2^-126 to 0; sums are float32. An error
 *  is at most (2^-7 + 2^-16 + n_cols * 2^-24) * sum |x w|. */
std::unique_ptr<LinearInput> bf16_input(const MatrixView& w, const float* x,
                                        std::size_t n_tokens);
/** The bf16_input for w of f(products with w_gate, products with w_up), with
 *  the bits of one made of these; a bf16_input takes all three, one alike
 *  w_gate and w_up. */
std::unique_ptr<LinearInput> gated_bf16_input(const MatrixView& w_gate,
                                              const MatrixView& w_up,
                                              GateFunction f, const float* x,
                                              std::size_t n_tokens,
                                              const MatrixView& w);

}  // namespace skua::cpu
