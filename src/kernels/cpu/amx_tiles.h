// The instructions of AMX tiles. They stand as assembler: intrinsics take no
// constant of a template for a tile's number.
#pragma once

#if defined(__x86_64__)

#include <cstddef>

#include "kernels/cpu/tiles-inl.h"

namespace skua::cpu {

struct AmxTiles {
  static void configure(const TileConfig& config) {
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  static void release() { asm volatile("tilerelease"); }

  template <int kTile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  template <int kTile>
  static void load(const void* at, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(at), "r"(stride),
                 "i"(kTile)
                 : "memory");
  }
  template <int kTile>
  static void load_once(const void* at, std::size_t stride) {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(at), "r"(stride),
                 "i"(kTile)
                 : "memory");
  }
  template <int kTile>
  static void store(void* at, std::size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(at), "r"(stride),
                 "i"(kTile)
                 : "memory");
  }
  template <int kSums, int kA, int kB>
  static void multiply() {
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA),
                 "i"(kB));
  }
  template <int kSums, int kA, int kB>
  static void multiply_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA),
                 "i"(kB));
  }
};

}  // namespace skua::cpu

#endif  // __x86_64__
