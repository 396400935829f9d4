#if defined(__x86_64__)
// GCC 12 warns of its own header's undefined vectors.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define SKUA_TILE_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#endif

#include <array>

#include "base/cpu_level.h"
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/bf16_tiles-inl.h"
#include "kernels/cpu/linear_tiles-inl.h"
#include "skua/error.h"

#if defined(__x86_64__)
#include "kernels/cpu/bf16_decoders-inl.h"
#endif

namespace skua::cpu {

#if defined(__x86_64__)
namespace {

using AmxInput = TileInput<AmxTiles>;

struct Avx512Decoders {
  SKUA_TILE_TARGET static void pairs(const float* a, const float* b,
                                     std::uint16_t* out) {
    alignas(64) static constexpr auto kOrder = [] {
      std::array<std::uint16_t, 32> order{};
      for (std::uint16_t i = 0; i < 32; ++i)
        order[i] = static_cast<std::uint16_t>(i % 2 * 16 + i / 2);
      return order;
    }();
    const __m512i rounded =
        round_two_bf16(_mm512_loadu_ps(a), _mm512_loadu_ps(b));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(
                                 _mm512_load_si512(kOrder.data()), rounded));
  }

  template <class Function>
  static void visit(const MatrixView& w, const Function& f) {
    if (w.encoding == Encoding::kDense)
      f.template operator()<StepBf16Decoder<DenseBf16Step>>();
    else if (w.bits == 8)
      f.template operator()<StepBf16Decoder<ByteBf16Step>>();
    else if (w.group_size == 32)
      f.template operator()<NibbleBf16Decoder<4>>();
    else if (w.group_size == 64)
      f.template operator()<NibbleBf16Decoder<2>>();
    else
      f.template operator()<NibbleBf16Decoder<1>>();
  }
};
using AmxBf16Input = Bf16TileInput<AmxTiles, Avx512Decoders>;

}  // namespace

bool has_amx_kernel(const MatrixView& w) {
  return cpu_features().amx_int8 && runs_avx512() && AmxInput::takes(w);
}

std::unique_ptr<LinearInput> amx_input(const MatrixView& w, const float* x,
                                       std::size_t n_tokens) {
  return std::make_unique<AmxInput>(w, x, n_tokens);
}

bool has_bf16_kernel(const MatrixView& w) {
  return cpu_features().amx_bf16 && cpu_features().avx512_bf16 &&
         runs_avx512() && has_bf16_rows(w);
}

std::unique_ptr<LinearInput> bf16_input(const MatrixView& w, const float* x,
                                        std::size_t n_tokens) {
  return std::make_unique<AmxBf16Input>(w, x, n_tokens);
}

std::unique_ptr<LinearInput> gated_bf16_input(const MatrixView& w_gate,
                                              const MatrixView& w_up,
                                              GateFunction f, const float* x,
                                              std::size_t n_tokens,
                                              const MatrixView& w) {
  return AmxBf16Input(w_gate, x, n_tokens).gated_input(w_gate, w_up, f, w);
}

#else

bool has_amx_kernel(const MatrixView&) {
  return false;
}

std::unique_ptr<LinearInput> amx_input(const MatrixView&, const float*,
                                       std::size_t) {
  throw Unsupported("[amx_input] this CPU has no tiles");
}

bool has_bf16_kernel(const MatrixView&) {
  return false;
}

std::unique_ptr<LinearInput> bf16_input(const MatrixView&, const float*,
                                        std::size_t) {
  throw Unsupported("[bf16_input] this CPU has no tiles");
}

std::unique_ptr<LinearInput> gated_bf16_input(const MatrixView&,
                                              const MatrixView&, GateFunction,
                                              const float*, std::size_t,
                                              const MatrixView&) {
  throw Unsupported("[gated_bf16_input] this CPU has no tiles");
}

#endif

}  // namespace skua::cpu
