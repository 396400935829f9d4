// Every way in which an answer ends.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "skua/error.h"
#include "tests/unit/generate/runner.h"

namespace skua {
namespace {

using test::Ids;
using test::Runner;
using test::Scripted;

struct Ending {
  const char* name;
  GenerationOptions options;
  FinishReason reason;
  int n_pieces;
  int cancel_after = -1;  // pieces
};

class Endings : public testing::TestWithParam<Ending> {};

// GEN-46
TEST_P(Endings, ComeOnceAndLast) {
  const Ending& c = GetParam();
  const Scripted scripted([&](int position) {
    if (c.reason == FinishReason::kError && position == 4)
      throw Error("model", "broke");
    if (c.reason == FinishReason::kTime)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return test::sure_of(position == 10 ? 2 : 421 + position % 50);
  });
  if (!scripted.model) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  Runner run(scripted.loaded, Session(*scripted.model, 300), {1}, c.options);
  int n_pieces = 0, n_ends = 0;
  if (c.cancel_after == 0) run->cancel();
  for (int i = 0; i < 320; ++i) {
    try {
      if (run.next()) {
        ++n_pieces;
        EXPECT_EQ(n_ends, 0) << "a piece after the end";
        if (n_pieces == c.cancel_after) run->cancel();
        continue;
      }
      if (n_ends == 0) ++n_ends;
    } catch (const Error& error) {
      ++n_ends;
      EXPECT_STREQ(error.what(), "[model] broke");
    }
    EXPECT_EQ(run->finish_reason(), c.reason);
    EXPECT_TRUE(run->ended());
    // What comes too late changes nothing.
    run->cancel();
  }
  EXPECT_EQ(n_ends, 1);
  EXPECT_EQ(n_pieces, c.n_pieces);
}

const Ending kEndings[] = {
    {"EndToken", {}, FinishReason::kStop, 11},
    {"StopId", {.stop_ids = {424}}, FinishReason::kStop, 4},
    {"StopText", {.stop = {"w"}}, FinishReason::kStop, 4},
    {"Length", {.max_tokens = 5}, FinishReason::kLength, 5},
    {"NoTokens", {.max_tokens = 0}, FinishReason::kLength, 0},
    {"ContextFull",
     {.max_tokens = 900, .fit_to_context = true, .ignore_eos = true},
     FinishReason::kLength,
     299},
    {"CancelledAtOnce", {}, FinishReason::kCancelled, 0, 0},
    {"CancelledLater", {}, FinishReason::kCancelled, 4, 4},
    {"Time", {.time_limit_ms = 1}, FinishReason::kTime, 1},
    {"Error", {}, FinishReason::kError, 4},
};

INSTANTIATE_TEST_SUITE_P(All, Endings, testing::ValuesIn(kEndings),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

}  // namespace
}  // namespace skua
