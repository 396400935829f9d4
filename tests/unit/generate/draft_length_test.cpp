#include "generate/draft_length.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

namespace skua {
namespace {

constexpr int kLongAnswer = 1 << 20;

/** An answer whose steps take what a test says, in units of a plain step. */
struct Answers {
  std::function<double(int)> step_s = [](int n_rows) {
    return 1 + 0.1 * (n_rows - 1);
  };
  double draft_s = 0;  // of a drafted token
  double read_s = 0;   // of a token that the drafter catches up with
  int n_unread = 0;    // tokens of the prompt, for the drafter
  int n_left = kLongAnswer;
  bool all_stands = false;

  StepCost cost = {};
  double elapsed_s = 0;
  double lost_s = 0;  // beyond a plain step for each token
  int n_rounds = 0, n_proposed = 0;
  bool rests = false;  // after the newest choice

  int step(DraftLength& length) {
    const double catch_up_s = read_s * ++n_unread;
    const int n = length.choose(
        cost, {.n_left = n_left, .elapsed_s = elapsed_s, .read_s = catch_up_s});
    rests = length.rests();
    double seconds = step_s(n + 1);
    cost.observe(n + 1, seconds);
    if (n > 0) {
      const double guessing_s = catch_up_s + n * draft_s;
      length.spend(guessing_s);
      length.learn_cost(draft_s);
      seconds += guessing_s;
      n_unread = 0;
      ++n_rounds;
      n_proposed += n;
    }
    const int n_stood = all_stands ? n : 0;
    length.learn(n, n_stood);
    elapsed_s += seconds;
    lost_s += seconds - step_s(1) * (1 + n_stood);
    n_left -= 1 + n_stood;
    return n;
  }
};

TEST(DraftLengthTest, AFixedLengthIsAlwaysThat) {
  DraftLength length(8, true);
  Answers answer;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(answer.step(length), 8);
  EXPECT_FALSE(answer.rests);
}

// SPEC-13: steps that cost as much as their rows, and drafts as much again.
TEST(DraftLengthTest, FallsToNothingWhereItDoesNotPayAndTriesAgain) {
  DraftLength length(8, false);
  Answers answer{.draft_s = 0.3};
  for (int i = 0; i < 20; ++i) answer.step(length);
  answer.n_rounds = answer.n_proposed = 0;
  while (answer.n_left > kLongAnswer - 2000) answer.step(length);
  EXPECT_GE(answer.n_rounds, 4);
  EXPECT_LE(answer.n_proposed, 20) << "each costs 0.4 of a step";

  answer.all_stands = true;
  answer.draft_s = 0;
  for (int i = 0; i < 1500 && answer.step(length) < 8; ++i) {
  }
  EXPECT_EQ(answer.step(length), 8) << "the longest draft is the best";

  // Not where the step is paid for by the row.
  StepCost steep;
  for (int n = 1; n < 40; ++n) steep.observe(n, n);
  EXPECT_EQ(length.choose(steep, {.n_other = 30, .n_left = 99}), 0);
}

// Five rows take another kernel than four, which costs twice as much.
TEST(DraftLengthTest, KeepsToNumbersOfRowsThatAreCheap) {
  DraftLength length(4, false);
  Answers answer{.all_stands = true};
  answer.step_s = [](int n_rows) {
    return n_rows < 5 ? 1 + 0.2 * (n_rows - 1) : 4.0;
  };
  int n_dear = 0;
  for (int step = 0; step < 300; ++step)
    n_dear += answer.step(length) == 4 && step >= 50 ? 1 : 0;
  EXPECT_LE(n_dear, 10);
  EXPECT_EQ(answer.step(length), 3);
}

struct Useless {
  const char* name;
  Answers answer;
};

class DraftLengthOfUselessGuesses : public testing::TestWithParam<Useless> {};

// SPEC-13: at any time no more is lost than 2 % of the time and of the 256
// tokens to come, but for what one guess costs more than was known before.
TEST_P(DraftLengthOfUselessGuesses, LosesAFewPerCent) {
  DraftLength length(4, false);
  Answers answer = GetParam().answer;
  const int n_most = answer.n_left;
  const double unknown_s = 2 * (answer.draft_s + answer.step_s(2) - 1);
  for (int token = 1; token <= std::min(n_most, 4000); ++token) {
    answer.step(length);
    const int n_to_come = std::min(answer.n_left, 256);
    ASSERT_LE(answer.lost_s, 0.02 * (answer.elapsed_s + n_to_come) + unknown_s)
        << token;
  }
  if (n_most > 4000) {
    EXPECT_GE(answer.n_rounds, 2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Costs, DraftLengthOfUselessGuesses,
    testing::Values(
        Useless{"drafts", {.draft_s = 0.4}},
        Useless{"rows", {.step_s = [](int n) { return 1.0 + 2 * (n - 1); }}},
        Useless{"reading", {.draft_s = 0.4, .read_s = 0.03, .n_unread = 100}},
        Useless{"a_long_prompt", {.read_s = 0.01, .n_unread = 4000}},
        Useless{
            "a_short_answer",
            {.draft_s = 0.4, .read_s = 0.03, .n_unread = 100, .n_left = 96}}),
    [](const auto& test) { return std::string(test.param.name); });

// 15 tokens to come leave 0.3 of a step: one guess at 0.2, not two.
TEST(DraftLengthTest, GuessesNoMoreThanMayBeLost) {
  const auto longest = [](double row_s, double draft_s, int n_left) {
    StepCost cost;
    for (int i = 0; i < 40; ++i) {
      for (const int n_rows : {1, 2, 3, 4})
        cost.observe(n_rows, 1 + row_s * (n_rows - 1));
    }
    DraftLength length(2, false);
    length.learn_cost(draft_s);
    return length.choose(cost, {.n_left = n_left});
  };
  EXPECT_EQ(longest(0.2, 0, 100), 2);
  EXPECT_EQ(longest(0.2, 0, 15), 1);
  EXPECT_EQ(longest(0.2, 0, 5), 0);
  EXPECT_EQ(longest(0.02, 0.15, 100), 2);
  EXPECT_EQ(longest(0.02, 0.15, 15), 1);
}

// SPEC-13, SPEC-16: the guesses of eight sequences take no more than of one.
TEST(DraftLengthTest, SequencesShareWhatMayBeLost) {
  const auto most_read = [](int n_other) {
    StepCost cost;
    for (int i = 0; i < 9; ++i) cost.observe(n_other + 1, 1);
    double read_s = 0;
    const auto drafts = [&] {
      DraftLength length(4, false);
      return length.choose(cost, {.n_other = n_other,
                                  .n_left = kLongAnswer,
                                  .elapsed_s = 100,
                                  .read_s = read_s}) > 0;
    };
    while (read_s < 100 && drafts()) read_s += 0.01;
    return read_s;
  };
  EXPECT_NEAR(most_read(7), most_read(0) / 8, 0.1);
}

// Between tries, and where nothing can be lost yet, it is known in advance
// that nothing will be drafted.
TEST(DraftLengthTest, RestsOnlyWhereTheNextStepHasNoDraft) {
  for (const double read_s : {0.0, 0.05}) {
    DraftLength length(4, false);
    Answers answer{.draft_s = 0.4, .read_s = read_s, .n_unread = 500};
    int n_rests = 0;
    for (int i = 0; i < 600; ++i) {
      const bool rested = answer.rests;
      const int n = answer.step(length);
      EXPECT_TRUE(!rested || n == 0) << i;
      n_rests += rested ? 1 : 0;
    }
    EXPECT_GT(n_rests, 400);
  }
}

}  // namespace
}  // namespace skua
