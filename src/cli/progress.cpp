#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace skua::cli {
namespace {

constexpr double kDrawEveryS = 0.1;
constexpr int kMinBar = 10;
constexpr int kMaxBar = 40;

int terminal_columns() {
  winsize size{};
  const bool known =
      ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

bool stderr_is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) && !(kind && std::string(kind) == "dumb");
}

bool allows_colour() {
  const char* set = std::getenv("NO_COLOR");
  return !set || !*set;
}

std::string format_seconds(double seconds) {
  if (!(seconds < 100 * 3600.0)) return "--:--";
  const int n = static_cast<int>(seconds + 0.5);
  if (n < 3600) return fmt::format("{}:{:02}", n / 60, n % 60);
  return fmt::format("{}:{:02}:{:02}", n / 3600, n / 60 % 60, n % 60);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

std::string format_bytes(std::uint64_t n_bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"B",  "kB", "MB",
                                                        "GB", "TB", "PB"};
  if (n_bytes < 1000) return fmt::format("{} B", n_bytes);
  double value = static_cast<double>(n_bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95,
                     kUnits[unit]);
}

std::string format_tokens(std::uint64_t n_tokens) {
  return fmt::format("{} tokens", n_tokens);
}

Progress::Progress(std::string label, const ProgressOptions& options)
    : label_(std::move(label)),
      options_(options),
      is_terminal_(stderr_is_terminal()),
      has_colour_(allows_colour()) {}

Progress::~Progress() {
  if (drawn_ && !finished_) std::fputc('\n', stderr);
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (finished_) return;
  if (!started_) {
    first_ = done;
    started_ = true;
  }
  first_ = std::min(first_, done);
  done_ = done;
  total_ = total;
  if (options_.quiet || !is_terminal_) return;
  if (seconds_since(start_) < options_.show_after_s) return;
  if (drawn_ && seconds_since(last_draw_) < kDrawEveryS) return;
  draw(false);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  const bool wanted =
      !options_.quiet && seconds_since(start_) >= options_.show_after_s;
  if (is_terminal_ && (wanted || drawn_)) draw(true);
  if (!is_terminal_ && wanted) {
    std::fputs(fmt::format("{}: {}\n", label_, options_.format(done_)).c_str(),
               stderr);
  }
}

std::string Progress::line(bool last) const {
  const double part =
      total_ ? std::min(1.0, static_cast<double>(done_) / total_) : 1.0;
  const double elapsed = seconds_since(start_);
  const double speed =
      elapsed > 0 ? static_cast<double>(done_ - first_) / elapsed : 0;
  const double left =
      total_ > done_ ? static_cast<double>(total_ - done_) / speed : 0;
  const std::string numbers = fmt::format(
      " {:3.0f}%  {} / {}  {}/s  {} {}", std::floor(part * 100),
      options_.format(done_), options_.format(total_),
      options_.format(static_cast<std::uint64_t>(speed)),
      format_seconds(last ? elapsed : left), last ? "taken" : "left");
  const int columns = terminal_columns() - 1;
  const int room = columns - static_cast<int>(numbers.size());
  const int label_size = std::min<int>(static_cast<int>(label_.size()),
                                       std::max(room - kMinBar - 3, 8));
  std::string text = label_.substr(0, static_cast<std::size_t>(label_size));
  const int bar = std::min(room - label_size - 3, kMaxBar);
  if (bar >= kMinBar) {
    const int filled = static_cast<int>(part * bar);
    text +=
        fmt::format(" [{}{:#<{}}{}{: <{}}]", has_colour_ ? "\x1b[32m" : "", "",
                    filled, has_colour_ ? "\x1b[0m" : "", "", bar - filled);
  }
  text += numbers;
  return text;
}

void Progress::draw(bool last) {
  drawn_ = true;
  last_draw_ = Clock::now();
  const std::string text =
      fmt::format("\r{}\x1b[K{}", line(last), last ? "\n" : "");
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace skua::cli
