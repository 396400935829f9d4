#include "base/cpu_count.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxThreads = 1024;

// quota / period; 0 where a group has no limit ("max" or -1) or no file.
double limit_of_group(const fs::path& group) {
  double quota = 0, period = 0;
  if (std::ifstream both(group / "cpu.max"); both) {
    if (!(both >> quota >> period)) return 0;
  } else {
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group / "cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

// The process's group: "0::/path" in version 2, "3:cpu,cpuacct:/path" in 1.
fs::path own_group(const fs::path& membership) {
  std::ifstream in(membership);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string number, controllers, path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    const std::string listed = "," + controllers + ",";
    if (controllers.empty() || listed.find(",cpu,") != std::string::npos)
      return fs::path(path).relative_path().lexically_normal();
  }
  return {};
}

int allowed_cpus() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

double cgroup_cpu_limit(const fs::path& membership, const fs::path& root) {
  double limit = 0;
  const auto consider = [&](const fs::path& group) {
    const double own = limit_of_group(group);
    if (own > 0) limit = limit > 0 ? std::min(limit, own) : own;
  };
  // A container sees its own group as the root; the path may lead outside.
  consider(root);
  fs::path group = root;
  for (const fs::path& part : own_group(membership)) {
    if (part == "..") break;
    consider(group /= part);
  }
  return limit;
}

ThreadChoice choose_thread_count() {
  const char* set = std::getenv("SKUA_THREADS");
  if (const std::string_view text = set == nullptr ? "" : set; !text.empty()) {
    int n = 0;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data(), end, n).ptr != end || n < 1 ||
        n > kMaxThreads) {
      throw InvalidInput(
          "SKUA_THREADS",
          "is no thread count, got " + quote(text) + ", expected 1 to 1024");
    }
    return {n, "SKUA_THREADS"};
  }
  const int n = std::clamp(allowed_cpus(), 1, kMaxThreads);
  const fs::path root = "/sys/fs/cgroup";
  const bool version_2 = fs::exists(root / "cgroup.controllers");
  const double limit =
      cgroup_cpu_limit("/proc/self/cgroup", version_2 ? root : root / "cpu");
  if (limit > 0 && limit + 0.5 < n)
    return {std::max(1, static_cast<int>(std::lround(limit))), "cgroup quota"};
  return {n, "affinity"};
}

}  // namespace skua
