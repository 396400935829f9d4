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
 *  not pay, and tries again after 32 tokens, then 64, up to 1024. What guessing
 *  costs beyond its gain stays below 2 % of the answer's time so far and of
 * the 256 tokens that follow, if so many may. */
class DraftLength {
 public:
  /** The step that the tokens are for. */
  struct Now {
    int n_other = 0;       // rows of other sequences in it
    int n_left = 0;        // tokens that the answer may still have
    double elapsed_s = 0;  // since the answer began
    double read_s = 0;     // that the drafter takes before its first token
  };

  /** n_most  tokens in a draft
   *  fixed   always so many */
  DraftLength(int n_most, bool fixed) : n_most_(n_most), fixed_(fixed) {}

  /** Tokens to draft for a step. */
  int choose(const StepCost& cost, const Now& now);
  /** Whether the step after that of the last choice has no draft either. */
  bool rests() const { return n_rest_ > 1; }

  /** What became of a step: n_drafted tokens, of which the first n_accepted
   *  stood. */
  void learn(int n_drafted, int n_accepted);
  /** Seconds that a drafted token took; 0 if that is not known. */
  void learn_cost(double seconds);
  /** Seconds that all of the guessing for a step took, whatever came of it. */
  void spend(double seconds) { loss_s_ += seconds; }

 private:
  int most_likely_to_pay(const StepCost& cost, int n_other) const;
  void settle(const StepCost& cost);

  int n_most_;
  bool fixed_;
  // Decayed counts of drafted tokens that were looked at, and that stood. The
  // start is a guess that two more tokens will replace.
  double tried_ = 2;
  double stood_ = 1.2;
  bool began_ = false;  // what became of a draft is known
  double draft_s_ = 0;
  double loss_s_ = 0;  // what guessing cost beyond its gain
  // Of the newest step: seconds of a token, rows of other sequences, and a
  // draft that loss_s_ lacks.
  double token_s_ = 0;
  int n_other_ = 0, n_drafted_ = 0, n_accepted_ = 0;
  int n_without_ = 0;  // steps since the last draft
  int patience_ = 32;  // steps until the next try
  int n_rest_ = 0;     // steps, from this one on, that have no draft
};

}  // namespace skua
