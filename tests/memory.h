#pragma once

#include <cstddef>
#include <fstream>
#include <optional>
#include <string>

namespace skua::test {

/** A line of /proc/self/status in bytes; 0 where there is none. */
inline std::size_t memory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":"))
      return std::stoul(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

/** Counts the most memory that this process holds, from now on. */
class PeakMemory {
 public:
  PeakMemory() {
    std::ofstream("/proc/self/clear_refs") << "5";
    before_ = memory("VmRSS");
    works_ = before_ > 0 && memory("VmHWM") <= before_ + (1 << 20);
  }
  /** Bytes above what it held at first; nothing where the system does not
   *  count anew. */
  std::optional<std::size_t> more() const {
    if (!works_) return std::nullopt;
    const std::size_t most = memory("VmHWM");
    return most > before_ ? most - before_ : 0;
  }

 private:
  std::size_t before_ = 0;
  bool works_ = false;
};

}  // namespace skua::test
