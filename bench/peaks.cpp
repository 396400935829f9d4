#include "bench/peaks.h"

#include <chrono>

#include "base/cpu_level.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>
#endif

namespace skua::bench {
namespace {

/** An instruction to measure. */
struct Unit {
  const char* name;
  bool integer;
  bool available;
  double n_ops;  // of one step: multiplications and additions
  void (*run)(long n_steps);
};

#if defined(__x86_64__)

// Independent sums: enough to hide the latency of two pipelines.
constexpr int kSums = 12;

// Assembler, as compilers move such sums to memory or see that they are all
// alike. In OP, %0 to %11 are the sums, %12 is free, %13 and %14 are factors.
#define SKUA_EACH_SUM(OP) \
  OP("0")                 \
  OP("1")                 \
  OP("2")                 \
  OP("3") OP("4") OP("5") OP("6") OP("7") OP("8") OP("9") OP("10") OP("11")
#define SKUA_UNIT(name, isa, Vector, set1, OP)                         \
  __attribute__((target(isa))) void name(long n_steps) {               \
    Vector s[kSums] = {}, free, a = set1(0.5F), b = a;                 \
    for (long step = 0; step < n_steps; ++step) {                      \
      asm volatile(SKUA_EACH_SUM(OP)                                   \
                   : "+v"(s[0]), "+v"(s[1]), "+v"(s[2]), "+v"(s[3]),   \
                     "+v"(s[4]), "+v"(s[5]), "+v"(s[6]), "+v"(s[7]),   \
                     "+v"(s[8]), "+v"(s[9]), "+v"(s[10]), "+v"(s[11]), \
                     "=&v"(free)                                       \
                   : "v"(a), "v"(b));                                  \
    }                                                                  \
  }

#define SKUA_FMA(i) "vfmadd231ps %13, %14, %" i "\n\t"
#define SKUA_MADD(i) "vpmaddwd %13, %14, %12\n\tvpaddd %12, %" i ", %" i "\n\t"
#define SKUA_AVX_VNNI(i) "%{vex%} vpdpbusd %13, %14, %" i "\n\t"
#define SKUA_VNNI(i) "vpdpbusd %13, %14, %" i "\n\t"
#define SKUA_BF16(i) "vdpbf16ps %13, %14, %" i "\n\t"

SKUA_UNIT(f32_avx2, "avx2,fma", __m256, _mm256_set1_ps, SKUA_FMA)
SKUA_UNIT(int16_avx2, "avx2", __m256, _mm256_set1_ps, SKUA_MADD)
SKUA_UNIT(int8_avxvnni, "avx2", __m256, _mm256_set1_ps, SKUA_AVX_VNNI)
SKUA_UNIT(f32_avx512, "avx512f", __m512, _mm512_set1_ps, SKUA_FMA)
SKUA_UNIT(int8_avx512, "avx512f", __m512, _mm512_set1_ps, SKUA_VNNI)
SKUA_UNIT(bf16_avx512, "avx512f", __m512, _mm512_set1_ps, SKUA_BF16)

constexpr int kTileRows = 16, kTileBytes = 64;

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/** Four sums, two tiles of each operand, all zero. */
__attribute__((target("amx-tile"))) void load_tiles() {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = kTileBytes;
    config.rows[i] = kTileRows;
  }
  // GCC 12 drops the stores otherwise.
  asm volatile("" ::"m"(config) : "memory");
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

// Each product of two tiles of weights with two of activations.
#define SKUA_TILE_UNIT(name, isa, product)                           \
  __attribute__((target("amx-tile," isa))) void name(long n_steps) { \
    load_tiles();                                                    \
    for (long step = 0; step < n_steps; ++step) {                    \
      product(0, 4, 6);                                              \
      product(1, 4, 7);                                              \
      product(2, 5, 6);                                              \
      product(3, 5, 7);                                              \
    }                                                                \
    _tile_release();                                                 \
  }

SKUA_TILE_UNIT(int8_amx, "amx-int8", _tile_dpbusd)
SKUA_TILE_UNIT(bf16_amx, "amx-bf16", _tile_dpbf16ps)

std::vector<Unit> units() {
  const bool avx2 = cpu_level() >= CpuLevel::kAvx2;
  const bool avx512 = cpu_level() >= CpuLevel::kAvx512;
  const CpuFeatures& has = cpu_features();
  constexpr double kTileOps = 4.0 * 2 * kTileRows * kTileRows;
  return {
      {"f32_fma_avx2", false, avx2, kSums * 16, f32_avx2},
      {"f32_fma_avx512", false, avx512, kSums * 32, f32_avx512},
      {"bf16_dot_avx512", false, has.avx512_bf16, kSums * 64, bf16_avx512},
      {"bf16_amx", false, has.amx_bf16, kTileOps * 32, bf16_amx},
      {"int16_madd_avx2", true, avx2, kSums * 32, int16_avx2},
      {"int8_vnni_avx", true, has.avx_vnni, kSums * 64, int8_avxvnni},
      {"int8_vnni_avx512", true, has.avx512_vnni, kSums * 128, int8_avx512},
      {"int8_amx", true, has.amx_int8, kTileOps * 64, int8_amx},
  };
}

#else

constexpr int kSums = 16;

void f32_portable(long n_steps) {
  using Vector = float __attribute__((vector_size(16)));
  Vector sums[kSums] = {}, a = {0.5F, 0.5F, 0.5F, 0.5F}, b = a;
  for (long step = 0; step < n_steps; ++step) {
    asm volatile("" : "+m"(a));
    for (Vector& sum : sums) sum = sum * a + b;
  }
  for (Vector& sum : sums) asm volatile("" : "+m"(sum));
}

std::vector<Unit> units() {
  return {{"f32_portable", false, true, kSums * 8, f32_portable}};
}

#endif

// Steps that take about `seconds` on one thread.
long calibrate(const Unit& unit, double seconds) {
  using Clock = std::chrono::steady_clock;
  long n_steps = 1000;
  for (;;) {
    const auto begin = Clock::now();
    unit.run(n_steps);
    const std::chrono::duration<double> spent = Clock::now() - begin;
    if (spent.count() > seconds / 4)
      return static_cast<long>(static_cast<double>(n_steps) * seconds /
                               spent.count());
    n_steps *= 2;
  }
}

Rate measure(const Unit& unit, int n_threads, int n_trials, long n_steps) {
  std::vector<double> rates =
      time_together(n_threads, n_trials, [&](int) { unit.run(n_steps); });
  for (double& rate : rates)
    rate = unit.n_ops * static_cast<double>(n_steps) * n_threads / rate / 1e9;
  return summarize(std::move(rates));
}

}  // namespace

std::vector<Peak> compute_peaks(int n_threads, int n_trials,
                                double trial_seconds) {
  std::vector<Peak> peaks;
  for (const Unit& unit : units()) {
    if (!unit.available) continue;
    const long n_steps = calibrate(unit, trial_seconds);
    peaks.push_back({unit.name, unit.integer,
                     measure(unit, 1, n_trials, n_steps),
                     measure(unit, n_threads, n_trials, n_steps)});
  }
  return peaks;
}

}  // namespace skua::bench
