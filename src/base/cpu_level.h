#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** Which code the CPU kernels run, by the CPU's and the system's feature
 *  bits. The x86 levels are in rising order. */
enum class CpuLevel {
  kScalar,
  kAvx2,    // with FMA and F16C
  kAvx512,  // F, BW, DQ, VL; see CpuFeatures for VNNI and BF16
  kAmx,     // with tile permission from the system
  kNeon,
};

/** What a kernel may use beside the instructions of its level. A forced lower
 *  level clears the flags of those above it. */
struct CpuFeatures {
  bool avx_vnni = false;
  bool avx512_vnni = false;
  bool avx512_vbmi = false;
  bool avx512_bf16 = false;
  bool avx512_fp16 = false;
  bool amx_int8 = false;
  bool amx_bf16 = false;
  bool arm_dotprod = false;
  bool arm_i8mm = false;
  bool arm_bf16 = false;
};

/** The level of this process: the CPU's highest, or the one that SKUA_CPU
 *  names. Read once, at program start; Highway's targets are bounded then.
 *  Throws InvalidInput where SKUA_CPU is no level at hand. */
CpuLevel cpu_level();

/** Features that kernels may use at cpu_level(). */
const CpuFeatures& cpu_features();

/** Where the level is from: "SKUA_CPU" or "the CPU". */
std::string_view cpu_level_source();

/** "scalar", "avx2", "avx512", "amx" or "neon". */
std::string_view cpu_level_name(CpuLevel level);

/** Levels that this CPU can run, lowest first. */
const std::vector<CpuLevel>& cpu_levels_at_hand();

/** Names of the set flags, in the order of the struct. */
std::vector<std::string_view> feature_names(const CpuFeatures& features);

/** Of `features` those that code of `level` may use. */
CpuFeatures features_of_level(CpuFeatures features, CpuLevel level);

/** The level called `name`. Throws InvalidInput, which lists the levels at
 *  hand, where it is none of them. */
CpuLevel parse_cpu_level(std::string_view name,
                         const std::vector<CpuLevel>& at_hand);

/** The instruction set that Highway's dispatch really picks, e.g. "AVX3". */
std::string highway_target();

}  // namespace skua
