#pragma once

#include <filesystem>
#include <string>

namespace skua {

/** CPUs' worth of time that the process's control groups grant it; 0 where
 *  none of them sets a limit.
 *  membership  as /proc/self/cgroup
 *  root        as /sys/fs/cgroup: version 2, or the cpu folder of version 1
 *  The smallest limit on the way from the process's group to the root. */
double cgroup_cpu_limit(const std::filesystem::path& membership,
                        const std::filesystem::path& root);

/** How many threads compute, and why. */
struct ThreadChoice {
  int n = 1;
  std::string source;  // "affinity", "cgroup quota" or "SKUA_THREADS"
};

/** The CPUs this process may run on, limited by its control groups, or
 *  SKUA_THREADS where it is set. Throws InvalidInput where that is no number
 *  from 1 to 1024. */
ThreadChoice choose_thread_count();

}  // namespace skua
