#include "bench/machine.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "base/bandwidth.h"
#include "base/cpu_level.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "bench/peaks.h"

namespace skua::bench {
namespace {

/** What follows the first `key` in a file of the system, up to the line's
 *  end; empty where there is none. */
std::string system_line(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key))
      return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "";
}

std::string first_line(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

double rounded(double value) {
  return std::round(value * 100) / 100;
}

Json to_json(const Rate& rate) {
  return {{"best", rounded(rate.best)}, {"median", rounded(rate.median)}};
}

Json bandwidths(const MachineOptions& options) {
  BandwidthOptions read;
  if (options.quick)
    read.n_mib = 128;
  else if (options.bandwidth_only)
    read.n_mib = 256;
  if (options.quick || options.bandwidth_only) read.n_trials = 5;
  Json list = Json::array();
  const auto add = [&](int n_threads, bool huge_pages) {
    read.n_threads = n_threads;
    read.huge_pages = huge_pages;
    Json entry = {{"threads", n_threads},
                  {"pages", huge_pages ? "huge" : "small"}};
    entry.update(to_json(read_bandwidth(read)));
    list.push_back(std::move(entry));
  };
  add(thread_count(), true);
  if (options.bandwidth_only) return list;
  add(thread_count(), false);
  if (thread_count() > 1) add(1, true);
  return list;
}

Json peaks(const MachineOptions& options) {
  Json list = Json::array();
  const int n_trials = options.quick ? 3 : 9;
  const double seconds = options.quick ? 0.005 : 0.02;
  for (const Peak& peak : compute_peaks(thread_count(), n_trials, seconds)) {
    list.push_back({{"name", peak.name},
                    {"unit", peak.integer ? "GOP/s" : "GFLOP/s"},
                    {"one_thread", to_json(peak.one_thread)},
                    {"all_threads", to_json(peak.all_threads)}});
  }
  return list;
}

}  // namespace

Json describe_machine(const MachineOptions& options) {
  Json json = {{"threads", thread_count()}};
  if (!options.bandwidth_only) {
    json["cpu"] = system_line("/proc/cpuinfo", "model name");
    json["level"] = cpu_level_name(cpu_level());
    json["features"] = feature_names(cpu_features());
    json["memory_bytes"] = physical_memory();
    json["cgroup_cpu_max"] = first_line("/sys/fs/cgroup/cpu.max");
    json["clock"] = first_line(
        "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    json["peaks"] = peaks(options);
  }
  json["bandwidth"] = bandwidths(options);
  return json;
}

}  // namespace skua::bench
