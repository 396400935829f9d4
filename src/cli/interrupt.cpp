#include "cli/interrupt.h"

#include <signal.h>

#include <atomic>

namespace skua::cli {
namespace {

// A watching thread reads what the handler writes.
std::atomic<bool> stopped = false, ended = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  (signal == SIGTERM ? ended : stopped) = true;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void rearm_interrupts() {
  stopped = false;
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() {
  return stopped || ended;
}

bool terminated() {
  return ended;
}

}  // namespace skua::cli
