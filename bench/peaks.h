#pragma once

#include <string>
#include <vector>

#include "bench/trials.h"

namespace skua::bench {

/** An arithmetic instruction and the most of it that the cores do. */
struct Peak {
  std::string name;  // "f32_fma", "amx_int8"
  bool integer = false;
  Rate one_thread;  // 1e9 multiplications and additions per second
  Rate all_threads;
};

/** Instruction sets that matter here and that CPU and system both offer. */
std::vector<std::string> cpu_features();

/** Measures each instruction that the CPU has, from registers alone.
 *  To be called before other threads start: AMX is asked for per process. */
std::vector<Peak> compute_peaks(int n_threads, int n_trials,
                                double trial_seconds);

}  // namespace skua::bench
