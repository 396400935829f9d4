#pragma once

#include <map>

namespace skua {

/** What a step of a number of rows costs, learned from steps that were taken:
 *  a line through their times, in which old ones fade, and by how much each
 *  number of rows is off it: kernels change with their number. */
class StepCost {
 public:
  void observe(int n_rows, double seconds);
  bool known() const { return weight_ > 0; }
  /** Seconds of a step of one row, and of each row more. */
  double first_row() const;
  double next_row() const;
  /** Seconds of a step of so many rows. */
  double step(int n_rows) const;

 private:
  double line(int n_rows) const;

  double weight_ = 0, rows_ = 0, seconds_ = 0, rows2_ = 0, rows_seconds_ = 0;
  std::map<int, double> off_line_;  // of numbers of rows: times the line
};

/** How many tokens to draft: as many as give the most tokens a second by the
 *  share that stood so far and by what steps cost. Falls to 0 where drafts do
 *  not pay, and tries again after 32 tokens, then 64, up to 1024, but not
 *  before what guessing cost beyond its gain is 3 % of the time since. */
class DraftLength {
 public:
  /** n_most  tokens in a draft
   *  fixed   always so many */
  DraftLength(int n_most, bool fixed) : n_most_(n_most), fixed_(fixed) {}

  /** Tokens to draft for a step in which n_other rows of other sequences go
   *  on as well. */
  int choose(const StepCost& cost, int n_other);

  /** What became of a step: n_drafted tokens, of which the first n_accepted
   *  stood. */
  void learn(int n_drafted, int n_accepted);
  /** Seconds that a drafted token took; 0 if that is not known. */
  void learn_cost(double seconds);
  /** Seconds that all of the guessing for a step took, whatever came of it. */
  void spend(double seconds) { debt_s_ += seconds; }

 private:
  int n_most_;
  bool fixed_;
  // Decayed counts of drafted tokens that were looked at, and that stood. The
  // start is a guess that two more tokens will replace.
  double tried_ = 2;
  double stood_ = 1.2;
  double draft_s_ = 0;
  // Of the step at hand: a token of it, and a row of a guess.
  double token_s_ = 0, row_s_ = 0;
  double debt_s_ = 0;  // what guessing cost beyond its gain
  int n_without_ = 0;  // steps since the last draft
  int patience_ = 32;  // steps until the next try
};

}  // namespace skua
