#pragma once

#include <string>
#include <vector>

#include "base/trials.h"

namespace skua::bench {

/** An arithmetic instruction and the most of it that the cores do. */
struct Peak {
  std::string name;  // "f32_fma", "amx_int8"
  bool integer = false;
  Rate one_thread;  // 1e9 multiplications and additions per second
  Rate all_threads;
};

/** Measures each instruction that cpu_level() allows, from registers alone. */
std::vector<Peak> compute_peaks(int n_threads, int n_trials,
                                double trial_seconds);

}  // namespace skua::bench
