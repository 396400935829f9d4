// What xgrammar reports: failures are exceptions, warnings are dropped. It
// warns of an escape that goes over the bound of a string, which is meant.
#include <stdexcept>
#include <string>

namespace xgrammar {

[[noreturn]] void LogFatalImpl(const std::string&, int,
                               const std::string& message) {
  throw std::runtime_error(message);
}

void LogMessageImpl(const std::string&, int, int, const std::string&) {}

}  // namespace xgrammar
