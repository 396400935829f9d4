#include "cli/interrupt.h"

#include <signal.h>

namespace skua::cli {
namespace {

volatile sig_atomic_t stopped = 0, ended = 0;

void on_signal(int signal) {
  (signal == SIGTERM ? ended : stopped) = 1;
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
  stopped = 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() {
  return stopped != 0 || ended != 0;
}

bool terminated() {
  return ended != 0;
}

}  // namespace skua::cli
