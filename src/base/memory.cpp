#include "base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace skua {

std::uint64_t physical_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

namespace {

// The number behind a field of a file of /proc, or 0.
std::uint64_t proc_kib(const char* file, const std::string& wanted) {
  std::ifstream in(file);
  for (std::string field; in >> field;) {
    std::uint64_t kib = 0;
    if (field == wanted && in >> kib) return kib;
  }
  return 0;
}

}  // namespace

std::uint64_t available_memory() {
  const std::uint64_t kib = proc_kib("/proc/meminfo", "MemAvailable:");
  return kib == 0 ? physical_memory() / 2 : kib * 1024;
}

std::uint64_t peak_memory() {
  // ru_maxrss is that of the parent where it is larger.
  const std::uint64_t kib = proc_kib("/proc/self/status", "VmHWM:");
  if (kib != 0) return kib * 1024;
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

}  // namespace skua
