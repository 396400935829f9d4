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

std::uint64_t peak_memory() {
#ifdef __linux__
  // ru_maxrss is that of the parent where it is larger.
  std::ifstream status("/proc/self/status");
  for (std::string field; status >> field;) {
    std::uint64_t kib = 0;
    if (field == "VmHWM:" && status >> kib) return kib * 1024;
  }
#endif
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

}  // namespace skua
