#include "base/cpu_level.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/quote.h"
#include "skua/error.h"

// clang-format off: foreach_target comes before all that it repeats.
#define HWY_WANT_AVX3_DL  // as the kernels that use VNNI
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "base/cpu_level.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>
// clang-format on

#if HWY_ARCH_X86
#include <cpuid.h>
#endif
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace skua::cpu::HWY_NAMESPACE {

const char* target_name() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace skua::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace skua {
namespace cpu {
HWY_EXPORT(target_name);
}  // namespace cpu

namespace {

constexpr std::array<std::pair<std::string_view, bool CpuFeatures::*>, 10>
    kFeatures = {{{"avx_vnni", &CpuFeatures::avx_vnni},
                  {"avx512_vnni", &CpuFeatures::avx512_vnni},
                  {"avx512_vbmi", &CpuFeatures::avx512_vbmi},
                  {"avx512_bf16", &CpuFeatures::avx512_bf16},
                  {"avx512_fp16", &CpuFeatures::avx512_fp16},
                  {"amx_int8", &CpuFeatures::amx_int8},
                  {"amx_bf16", &CpuFeatures::amx_bf16},
                  {"arm_dotprod", &CpuFeatures::arm_dotprod},
                  {"arm_i8mm", &CpuFeatures::arm_i8mm},
                  {"arm_bf16", &CpuFeatures::arm_bf16}}};

// Features of the CPU without regard to the system.
#if HWY_ARCH_X86
struct Cpuid {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  Cpuid(unsigned leaf, unsigned subleaf) {
    __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx);
  }
};

bool bit(unsigned word, int i) {
  return (word >> i & 1) != 0;
}

// Which register sets the system saves.
std::uint64_t saved_state() {
  if (!bit(Cpuid(1, 0).ecx, 27)) return 0;
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// Linux gives tiles to a process that asks before its threads start.
bool ask_for_tiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Bits as in Intel's manual, volume 2A, CPUID, leaves 7.0 and 7.1.
CpuFeatures detect_features() {
  const Cpuid leaf(7, 0);
  const Cpuid more(leaf.eax >= 1 ? 7 : 0x80000000, 1);
  CpuFeatures f;
  f.avx_vnni = leaf.eax >= 1 && bit(more.eax, 4);
  f.avx512_vbmi = bit(leaf.ecx, 1);
  f.avx512_vnni = bit(leaf.ecx, 11);
  f.avx512_bf16 = leaf.eax >= 1 && bit(more.eax, 5);
  f.avx512_fp16 = bit(leaf.edx, 23);
  constexpr std::uint64_t kTileState = 3u << 17;
  if (bit(leaf.edx, 24) && (saved_state() & kTileState) == kTileState &&
      (bit(leaf.edx, 22) || bit(leaf.edx, 25)) && ask_for_tiles()) {
    f.amx_bf16 = bit(leaf.edx, 22);
    f.amx_int8 = bit(leaf.edx, 25);
  }
  return f;
}
#else
CpuFeatures detect_features() {
  CpuFeatures f;
#if defined(__aarch64__) && defined(__linux__)
  const auto has = [](int word, int i) { return (getauxval(word) >> i & 1); };
  f.arm_dotprod = has(AT_HWCAP, 20);
  f.arm_i8mm = has(AT_HWCAP2, 13);
  f.arm_bf16 = has(AT_HWCAP2, 14);
#elif defined(__ARM_FEATURE_DOTPROD)
  f.arm_dotprod = true;
#endif
  return f;
}
#endif

// Better targets have lower bits.
constexpr std::int64_t better_than(std::int64_t target) {
  return target - 1;
}

struct Detected {
  CpuLevel level = CpuLevel::kScalar;
  CpuFeatures features;
  std::vector<CpuLevel> at_hand;
  bool forced = false;
  std::optional<InvalidInput> refused;  // why SKUA_CPU is not followed

  Detected() {
    detect();
    const char* name = std::getenv("SKUA_CPU");
    if (name != nullptr && *name != '\0') force(name);
    features = features_of_level(features, level);
  }

  void detect() {
    features = detect_features();
    const std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
    if ((HWY_TARGETS & (HWY_SCALAR | HWY_EMU128)) != 0)
      at_hand.push_back(CpuLevel::kScalar);
#if HWY_ARCH_X86
    if ((targets & (HWY_AVX2 | better_than(HWY_AVX2))) != 0)
      at_hand.push_back(CpuLevel::kAvx2);
    if ((targets & (HWY_AVX3 | better_than(HWY_AVX3))) != 0) {
      at_hand.push_back(CpuLevel::kAvx512);
      if (features.amx_bf16 && features.amx_int8)
        at_hand.push_back(CpuLevel::kAmx);
    }
#elif HWY_ARCH_ARM
    if ((targets & (HWY_NEON | better_than(HWY_NEON))) != 0)
      at_hand.push_back(CpuLevel::kNeon);
#endif
    level = at_hand.empty() ? CpuLevel::kScalar : at_hand.back();
  }

  void force(std::string_view name) {
    try {
      level = parse_cpu_level(name, at_hand);
    } catch (const InvalidInput& error) {
      refused = error;
      return;
    }
    forced = true;
    if (level == CpuLevel::kScalar)
      hwy::DisableTargets(better_than(HWY_EMU128));
#if HWY_ARCH_X86
    if (level == CpuLevel::kAvx2) hwy::DisableTargets(better_than(HWY_AVX2));
#endif
  }
};

// At program start, so that no kernel has been dispatched and no thread made.
const Detected kDetected;

}  // namespace

CpuLevel cpu_level() {
  if (kDetected.refused) throw InvalidInput(*kDetected.refused);
  return kDetected.level;
}

const CpuFeatures& cpu_features() {
  return kDetected.features;
}

std::string_view cpu_level_source() {
  return kDetected.forced ? "SKUA_CPU" : "the CPU";
}

std::string_view cpu_level_name(CpuLevel level) {
  constexpr std::array<std::string_view, 5> kNames = {"scalar", "avx2",
                                                      "avx512", "amx", "neon"};
  return kNames[static_cast<std::size_t>(level)];
}

const std::vector<CpuLevel>& cpu_levels_at_hand() {
  return kDetected.at_hand;
}

std::vector<std::string_view> feature_names(const CpuFeatures& features) {
  std::vector<std::string_view> names;
  for (const auto& [name, flag] : kFeatures)
    if (features.*flag) names.push_back(name);
  return names;
}

CpuFeatures features_of_level(CpuFeatures features, CpuLevel level) {
  const auto keep = [&](std::string_view prefix, bool allowed) {
    for (const auto& [name, flag] : kFeatures)
      if (name.starts_with(prefix) && !allowed) features.*flag = false;
  };
  const bool avx512 = level == CpuLevel::kAvx512 || level == CpuLevel::kAmx;
  keep("avx_", avx512 || level == CpuLevel::kAvx2);
  keep("avx512_", avx512);
  keep("amx_", level == CpuLevel::kAmx);
  keep("arm_", level == CpuLevel::kNeon);
  return features;
}

CpuLevel parse_cpu_level(std::string_view name,
                         const std::vector<CpuLevel>& at_hand) {
  std::string names;
  for (const CpuLevel level : at_hand) {
    if (cpu_level_name(level) == name) return level;
    names += (names.empty() ? "" : ", ") + std::string(cpu_level_name(level));
  }
  throw InvalidInput("SKUA_CPU", "is not a level of this CPU, got " +
                                     quote(name) + ", expected one of " +
                                     names);
}

std::string highway_target() {
  return HWY_DYNAMIC_DISPATCH(cpu::target_name)();
}

}  // namespace skua
#endif  // HWY_ONCE
