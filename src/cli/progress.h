#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace skua::cli {

/** "1.5 GB": decimal units, three digits. */
std::string format_bytes(std::uint64_t n_bytes);

/** "1200 tokens". */
std::string format_tokens(std::uint64_t n_tokens);

struct ProgressOptions {
  bool quiet = false;
  /** The bar appears once this much time has passed. */
  double show_after_s = 0;
  /** How what is counted is written. */
  std::string (*format)(std::uint64_t n) = format_bytes;
};

/** Progress of one task on stderr: a bar with per cent, amounts, speed and time
 *  left on a terminal, else one line when the task is done. */
class Progress {
 public:
  Progress(std::string label, const ProgressOptions& options);
  /** Leaves the cursor on a fresh line. */
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /** Both of what is counted. The first call's `done` does not count as
   *  speed. */
  void update(std::uint64_t done, std::uint64_t total);
  /** Prints the last state. Later calls have no effect. */
  void finish();

  const std::string& label() const { return label_; }

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(bool last) const;
  void draw(bool last);

  std::string label_;
  ProgressOptions options_;
  bool is_terminal_, has_colour_;
  bool drawn_ = false, started_ = false, finished_ = false;
  std::uint64_t first_ = 0, done_ = 0, total_ = 0;
  Clock::time_point start_ = Clock::now(), last_draw_;
};

}  // namespace skua::cli
