#include "generate/draft_length.h"

#include <algorithm>
#include <cmath>

namespace skua {
namespace {

// Old steps fade, since steps take longer as the text grows.
constexpr double kFadeSteps = 0.97;
constexpr double kFadeDrafts = 0.85;
// Of a step's time; counts as much as so many steps whose rows differ by one.
constexpr double kUsualShareOfARow = 0.12;
constexpr double kUsualWeight = 4;
// A time that was off because of others counts for some fifty steps.
constexpr double kLearnOffLine = 0.5, kForgetOffLine = 0.02;
constexpr int kLeastPatience = 32, kMostPatience = 1024;
constexpr int kTry = 2;
// Of the time of plain steps, what guessing may lose; tokens to come count too,
// since most of what a draft model costs is its reading of the prompt.
constexpr double kLossShare = 0.02;
constexpr int kTokensToCome = 256;

// What n rows more than n_other and one cost.
double rows_s(const StepCost& cost, int n_other, int n) {
  return std::max(cost.step(n_other + n + 1) - cost.step(n_other + 1), 0.0);
}

}  // namespace

void StepCost::observe(int n_rows, double seconds) {
  const double n = n_rows;
  if (known()) {
    for (auto& [rows, off] : off_line_) off += kForgetOffLine * (1 - off);
    double& off = off_line_.try_emplace(n_rows, 1).first->second;
    off += kLearnOffLine * (seconds / line(n_rows) - off);
  }
  for (double* sum : {&weight_, &rows_, &seconds_, &rows2_, &rows_seconds_})
    *sum *= kFadeSteps;
  weight_ += 1;
  rows_ += n;
  seconds_ += seconds;
  rows2_ += n * n;
  rows_seconds_ += n * seconds;
}

double StepCost::next_row() const {
  const double mean_s = seconds_ / weight_, mean_rows = rows_ / weight_;
  const double usual = kUsualShareOfARow * mean_s / mean_rows;
  const double spread = rows2_ - weight_ * mean_rows * mean_rows;
  const double together = rows_seconds_ - weight_ * mean_rows * mean_s;
  const double slope =
      (together + kUsualWeight * usual) / (spread + kUsualWeight);
  return std::clamp(slope, 0.1 * usual, mean_s / mean_rows);
}

double StepCost::first_row() const {
  const double one = seconds_ / weight_ - (rows_ / weight_ - 1) * next_row();
  return std::max(one, next_row());
}

double StepCost::line(int n_rows) const {
  return first_row() + (n_rows - 1) * next_row();
}

double StepCost::step(int n_rows) const {
  const auto found = off_line_.find(n_rows);
  return line(n_rows) * (found == off_line_.end() ? 1 : found->second);
}

int DraftLength::most_likely_to_pay(const StepCost& cost, int n_other) const {
  const double share = std::min(stood_ / tried_, 0.98);
  double best_rate = 0;
  int best = 0;
  double time_s = 0;
  double expected = 1;  // tokens of this sequence in the step
  double next = 1;
  for (int n = 0; n <= n_most_; ++n) {
    // That more rows seemed cheaper than fewer is chance.
    time_s = std::max(time_s, cost.step(n_other + n + 1));
    const double seconds = time_s + n * draft_s_;
    const double rate = (n_other + expected) / seconds;
    // A draft has to win by something to be worth its unsteadiness.
    if (rate > best_rate * (best == 0 && n > 0 ? 1.03 : 1)) {
      best_rate = rate;
      best = n;
    }
    next *= share;
    expected += next;
  }
  return best;
}

// After the step, whose time says more about the cost of its rows than what
// was known before it.
void DraftLength::settle(const StepCost& cost) {
  if (n_drafted_ == 0) return;
  loss_s_ += rows_s(cost, n_other_, n_drafted_) - n_accepted_ * token_s_;
  loss_s_ = std::max(loss_s_, 0.0);
  n_drafted_ = 0;
}

int DraftLength::choose(const StepCost& cost, const Now& now) {
  n_rest_ = 0;
  if (fixed_ || n_most_ == 0) return n_most_;
  if (!cost.known()) return 0;
  settle(cost);
  const int n_other = n_other_ = now.n_other;
  token_s_ = cost.step(n_other + 1) / (n_other + 1);
  int n = most_likely_to_pay(cost, n_other);
  if (!began_) n = std::min(n, kTry);
  if (n == 0) {
    n_rest_ = patience_ - n_without_;
    if (n_rest_ > 0) return 0;
    n = std::min(kTry, n_most_);
  }
  // Each of the sequences has its part of what may be lost.
  const double time_s = now.elapsed_s / (n_other + 1) +
                        std::min(now.n_left, kTokensToCome) * token_s_;
  const double free_s = kLossShare * time_s - loss_s_ - now.read_s;
  const auto extra_s = [&] { return rows_s(cost, n_other, n) + n * draft_s_; };
  while (n > 1 && extra_s() > free_s) --n;
  const double lacks_s = extra_s() - free_s;
  if (lacks_s > 0) {
    const double steps = lacks_s / (kLossShare * token_s_);
    n_rest_ = 1 + static_cast<int>(std::min<double>(steps, kMostPatience));
    return 0;
  }
  return n;
}

void DraftLength::learn(int n_drafted, int n_accepted) {
  if (n_drafted == 0) {
    ++n_without_;
    n_rest_ = std::max(n_rest_ - 1, 0);
    return;
  }
  began_ = true;
  n_drafted_ = n_drafted;
  n_accepted_ = n_accepted;
  const bool a_try = n_without_ >= patience_;
  n_without_ = 0;
  if (a_try) {
    patience_ = n_accepted > 0 ? kLeastPatience
                               : std::min(2 * patience_, kMostPatience);
  }
  tried_ = tried_ * kFadeDrafts + n_accepted + (n_accepted < n_drafted ? 1 : 0);
  stood_ = stood_ * kFadeDrafts + n_accepted;
}

void DraftLength::learn_cost(double seconds) {
  if (seconds <= 0) return;
  draft_s_ = draft_s_ == 0 ? seconds : 0.8 * draft_s_ + 0.2 * seconds;
}

}  // namespace skua
