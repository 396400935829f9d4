// Logits processors, against formulas written out for single tokens.
#include "generate/processors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "skua/error.h"
#include "tests/unit/generate/choose.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using Ids = std::vector<std::int32_t>;
using Floats = std::vector<float>;

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr double kForbid = -std::numeric_limits<double>::infinity();

struct Case {
  GenerationOptions options = {};
  Ids history = {};
  std::size_t n_generated = 0;
  TokenRoles roles = {};
};

Floats processed(Floats logits, const Case& c) {
  const History history{c.history, c.history.size() - c.n_generated};
  Breakers breakers;
  const Turn turn{c.options, c.roles, history, breakers, history.step()};
  process(turn, logits);
  return logits;
}

std::string error_of(const Floats& logits, const Case& c) {
  TokenRoles roles = c.roles;
  roles.vocab_size = static_cast<int>(logits.size());
  Sampler sampler(c.options, roles, 0);
  try {
    sampler.choose(logits, {c.history, c.history.size() - c.n_generated});
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

Ids random_ids(std::mt19937& engine, std::size_t n, unsigned vocab_size) {
  Ids ids(n);
  for (auto& id : ids) id = static_cast<std::int32_t>(engine() % vocab_size);
  return ids;
}

// GEN-14
TEST(Processors, RepetitionIsAwareOfSignsAndCountsTokensOnce) {
  EXPECT_EQ(
      processed({-2, 2, 3, 0}, {{.repetition_penalty = 2}, {0, 1, 0, 1, 1, 3}}),
      (Floats{-4, 1, 3, 0}));
}

// GEN-15, GEN-05
TEST(Processors, PresenceCountsOnceAndFrequencyEachTime) {
  const Ids history = {1, 0, 1, 1};
  EXPECT_EQ(processed({0, 0, 0}, {{.presence_penalty = 0.5}, history}),
            (Floats{-0.5, -0.5, 0}));
  EXPECT_EQ(processed({0, 0, 0}, {{.frequency_penalty = 0.5}, history}),
            (Floats{-0.5, -1.5, 0}));
  EXPECT_EQ(processed({0, 0, 0}, {{.presence_penalty = -0.5}, history}),
            (Floats{0.5, 0.5, 0}));
}

// GEN-13
TEST(Processors, EachPenaltyHasItsOwnWindow) {
  std::mt19937 engine(1);
  const Ids history = random_ids(engine, 30, 12);
  const int windows[] = {5, 9, 0};
  const auto count = [&](int window, std::int32_t id) {
    const auto last = window == 0 ? history.begin() : history.end() - window;
    return static_cast<float>(std::count(last, history.end(), id));
  };
  for (int shift = 0; shift < 3; ++shift) {
    Case c{{}, history};
    c.options.repetition_penalty = 2;
    c.options.repetition_window = windows[shift];
    c.options.presence_penalty = 0.25;
    c.options.presence_window = windows[(shift + 1) % 3];
    c.options.frequency_penalty = 0.125;
    c.options.frequency_window = windows[(shift + 2) % 3];
    const Floats got = processed(Floats(12, 8), c);
    for (std::int32_t id = 0; id < 12; ++id) {
      float want = count(windows[shift], id) > 0 ? 4 : 8;
      want -= count(windows[(shift + 1) % 3], id) > 0 ? 0.25f : 0;
      want -= 0.125f * count(windows[(shift + 2) % 3], id);
      EXPECT_EQ(got[static_cast<std::size_t>(id)], want) << id;
    }
  }
}

// GEN-34
TEST(Processors, ThePromptCountsUnlessItIsNotToBePenalized) {
  Case c{{.presence_penalty = 1}, {0, 1, 2}, 1};
  EXPECT_EQ(processed({0, 0, 0, 0}, c), (Floats{-1, -1, -1, 0}));
  c.options.penalize_prompt = false;
  EXPECT_EQ(processed({0, 0, 0, 0}, c), (Floats{0, -1, -1, 0}));
  c.n_generated = 0;
  EXPECT_EQ(processed({0, 0, 0, 0}, c), (Floats{0, 0, -1, 0}));
}

// GEN-12: those whose swap changes numbers. The right side of each comment is
// what the other order gives.
TEST(Processors, FollowEachOther) {
  const auto first = [](const GenerationOptions& options, float logit) {
    return processed({logit, 0}, {options, {0}})[0];
  };
  // 3 / 2 + 1
  EXPECT_EQ(first({.logit_bias = {{0, 1}}, .repetition_penalty = 2}, 3), 2);
  // (3 - 1) / 2
  EXPECT_EQ(first({.repetition_penalty = 2, .presence_penalty = 1}, 3), 0.5);
  // The sum of two subtractions shows an order only where it is limited to
  // float32's range.
  const double much = 6e38;
  const auto most = std::numeric_limits<float>::max();
  const auto over = static_cast<float>(most - much);
  EXPECT_EQ(first({.presence_penalty = -much, .frequency_penalty = much}, 0),
            over);
  GenerationOptions options{.frequency_penalty = -much,
                            .dry_multiplier = much,
                            .dry_allowed_length = 1};
  EXPECT_EQ(processed({0, 0}, {options, {0, 0}})[0], 0);
  // Callbacks see the rest, one after the other: (3 - 1) * 2 + 1.
  options = {.presence_penalty = 1};
  options.processors = {[](auto, auto logits) { logits[0] *= 2; },
                        [](auto, auto logits) { logits[0] += 1; }};
  EXPECT_EQ(first(options, 3), 5);
}

// GEN-12, GEN-26: what forbids commutes, so that the order shows in the name of
// the one that forbids the last token. Each of these forbids one more.
TEST(Processors, TheErrorNamesTheStepAndWhatForbidsTheLastToken) {
  struct Ban {
    const char* name;
    std::function<void(Case&, std::int32_t id)> add;
  };
  const Ban bans[] = {
      {"suppress_ids",
       [](Case& c, std::int32_t id) { c.options.suppress_ids = {id}; }},
      {"min_tokens",
       [](Case& c, std::int32_t id) {
         c.options.min_tokens = 9;
         c.options.stop_ids = {id};
       }},
      {"force_ids",
       [](Case& c, std::int32_t id) { c.options.force_ids = {0, 0, 1 - id}; }},
      {"logit_bias",
       [](Case& c, std::int32_t id) {
         c.options.logit_bias = {{id, kForbid}};
       }},
      {"no_repeat_ngram",
       [](Case& c, std::int32_t id) {
         c.options.no_repeat_ngram = 1;
         c.history = {id, id, id};
       }},
      {"processors",
       [](Case& c, std::int32_t id) {
         c.options.processors = {[id](auto, auto logits) {
           logits[static_cast<std::size_t>(id)] = kNever;
         }};
       }},
  };
  for (std::size_t i = 0; i < std::size(bans); ++i) {
    for (std::size_t j = i + 1; j < std::size(bans); ++j) {
      Case c;
      c.history = {0, 0, 0};
      c.n_generated = 2;
      bans[i].add(c, 0);
      bans[j].add(c, 1);
      EXPECT_EQ(error_of({1, 2}, c), "[sampler] at step 2 " +
                                         std::string(bans[j].name) +
                                         " forbids the last token");
    }
  }
}

// GEN-26
TEST(Processors, ACallbackThatBreaksLogitsIsNamed) {
  for (const float bad : {NAN, INFINITY}) {
    Case c;
    c.options.processors = {[bad](auto, auto logits) { logits[0] = bad; }};
    EXPECT_EQ(error_of({1, 2}, c),
              "[sampler] at step 0 processors left a logit that is not finite");
  }
}

// GEN-32
TEST(Processors, CallbacksSeeHistoryAndLogitsLast) {
  Ids seen;
  Floats logits;
  Case c{{.repetition_penalty = 2}, {2, 0}, 1};
  c.options.processors = {[&](auto history, auto l) {
    seen.assign(history.begin(), history.end());
    logits.assign(l.begin(), l.end());
    l[1] = kNever;
  }};
  Sampler sampler(c.options, {.vocab_size = 3}, 0);
  EXPECT_EQ(sampler.choose(Floats{4, 3, 2}, {c.history, 1}).token, 0);
  EXPECT_EQ(seen, c.history);
  EXPECT_EQ(logits, (Floats{2, 3, 1}));
}

TEST(Processors, ACallbackMayUseAnotherSampler) {
  GenerationOptions inner{.logit_bias = {{2, 9.0}}};
  GenerationOptions outer{.logit_bias = {{1, 1.0}}};
  outer.processors = {[&](auto, auto logits) {
    const Floats others(300, 0.5f);
    EXPECT_EQ(test::choose(others, inner, 0, 0), 2);
    EXPECT_EQ(logits[1], 1);
  }};
  EXPECT_EQ(test::choose(Floats{0, 0, 0}, outer, 0, 0), 1);
}

// GEN-33: suppress, force, min_tokens.
TEST(Processors, SuppressForceAndMinTokens) {
  EXPECT_EQ(processed({1, 2, 3}, {{.suppress_ids = {0, 2}}}),
            (Floats{kNever, 2, kNever}));
  Case c{{.force_ids = {2, 0}}, {1}, 0};
  EXPECT_EQ(processed({1, 2, 3}, c), (Floats{kNever, kNever, 3}));
  c.history = {1, 2};
  c.n_generated = 1;
  EXPECT_EQ(processed({1, 2, 3}, c), (Floats{1, kNever, kNever}));
  c.n_generated = 2;
  EXPECT_EQ(processed({1, 2, 3}, c), (Floats{1, 2, 3}));

  c = {{.min_tokens = 2, .stop_ids = {1}}, {0, 0}, 1};
  c.roles.eos_ids = {2};
  EXPECT_EQ(processed({1, 2, 3}, c), (Floats{1, kNever, kNever}));
  c.options.ignore_eos = true;
  EXPECT_EQ(processed({1, 2, 3}, c), (Floats{1, kNever, 3}));
  c.n_generated = 2;
  EXPECT_EQ(processed({1, 2, 3}, c), (Floats{1, 2, 3}));
}

// Hugging Face's rule as it stands: what followed the last n - 1 tokens before.
std::set<std::int32_t> banned(const Ids& history, int n) {
  std::set<std::int32_t> ids;
  const auto m = static_cast<std::ptrdiff_t>(n) - 1;
  if (std::ssize(history) < m) return ids;
  const auto last = history.end() - m;
  for (auto it = history.begin(); it + m < history.end(); ++it)
    if (std::equal(it, it + m, last)) ids.insert(it[m]);
  return ids;
}

// GEN-33
TEST(Processors, NoNgramIsRepeated) {
  std::mt19937 engine(2);
  for (int i = 0; i < 2000; ++i) {
    const unsigned vocab_size = 1 + engine() % 4;
    const Ids history = random_ids(engine, engine() % 25, vocab_size);
    const int n = 1 + static_cast<int>(engine() % 6);
    const auto want = banned(history, n);
    const Floats got =
        processed(Floats(vocab_size, 1), {{.no_repeat_ngram = n}, history});
    for (unsigned id = 0; id < vocab_size; ++id) {
      ASSERT_EQ(got[id] == kNever, want.contains(static_cast<std::int32_t>(id)))
          << "n " << n << ", history " << testing::PrintToString(history);
    }
  }
}

// DRY as it is defined: every earlier place is compared backwards with the end,
// up to a breaker; the longest match before each next token counts.
Floats dry_penalties(const Ids& history, const GenerationOptions& o,
                     const std::set<std::int32_t>& breakers,
                     std::size_t vocab_size) {
  Ids window = history;
  if (o.dry_window > 0 && o.dry_window < std::ssize(window))
    window.erase(window.begin(), window.end() - o.dry_window);
  Floats penalties(vocab_size, 0);
  const auto n = window.size();
  for (std::size_t next = 1; next < n; ++next) {
    if (breakers.contains(window[next])) continue;
    std::size_t length = 0;
    while (length < next &&
           window[next - 1 - length] == window[n - 1 - length] &&
           !breakers.contains(window[n - 1 - length]))
      ++length;
    if (length == 0) continue;
    const int excess = static_cast<int>(length) - o.dry_allowed_length;
    if (excess < 0) continue;
    float& penalty = penalties[static_cast<std::size_t>(window[next])];
    penalty = std::max(
        penalty,
        static_cast<float>(o.dry_multiplier * std::pow(o.dry_base, excess)));
  }
  return penalties;
}

// GEN-33
TEST(Processors, DryPenalizesWhatGoesOnWithARepetition) {
  std::mt19937 engine(3);
  int n_penalties = 0;
  for (int i = 0; i < 3000; ++i) {
    Case c;
    const unsigned vocab_size = 2 + engine() % 5;
    c.history = random_ids(engine, engine() % 40, vocab_size);
    c.options.dry_multiplier = 0.5;
    c.options.dry_base = 1 + engine() % 3 * 0.25;
    c.options.dry_allowed_length = 1 + static_cast<int>(engine() % 3);
    c.options.dry_window = engine() % 2 ? 0 : static_cast<int>(engine() % 20);
    c.options.dry_breakers = {"x"};
    const bool breaks = engine() % 2 == 0;
    c.roles.text = [=](std::int32_t id) {
      return breaks && id == 1 ? "axb" : "a";
    };
    const auto want = dry_penalties(
        c.history, c.options,
        breaks ? std::set<std::int32_t>{1} : std::set<std::int32_t>{},
        vocab_size);
    const Floats got = processed(Floats(vocab_size, 0), c);
    for (std::size_t id = 0; id < vocab_size; ++id) {
      n_penalties += want[id] != 0;
      ASSERT_FLOAT_EQ(got[id], -want[id])
          << "id " << id << " of history " << testing::PrintToString(c.history);
    }
  }
  EXPECT_GT(n_penalties, 1000);
}

// GEN-33
TEST(Processors, DryOfAnEndlessRepetitionStaysFinite) {
  GenerationOptions options{.dry_multiplier = 1, .dry_base = 10};
  const Floats got = processed({0, 1}, {options, Ids(100000, 0)});
  EXPECT_EQ(got, (Floats{-std::numeric_limits<float>::max(), 1}));
}

// GEN-33: the text of a token is asked for where it matters, once.
TEST(Processors, BreakersAreLookedForInTokensOfTheHistory) {
  std::map<std::int32_t, int> asked;
  Case c{{.dry_multiplier = 1}, {5, 7, 5, 7, 5}};
  TokenRoles roles{.vocab_size = 1000};
  roles.text = [&](std::int32_t id) {
    ++asked[id];
    return std::string(id == 7 ? "a:\n" : "b");
  };
  Sampler sampler(c.options, roles, 0);
  for (int i = 0; i < 3; ++i)
    sampler.choose(Floats(1000, 0), {c.history, c.history.size()});
  EXPECT_EQ(asked, (std::map<std::int32_t, int>{{5, 1}, {7, 1}}));
}

TEST(Processors, TokensOutsideTheVocabularyDoNotCount) {
  Case c{{.repetition_penalty = 2,
          .presence_penalty = 1,
          .frequency_penalty = 1,
          .no_repeat_ngram = 1,
          .dry_multiplier = 1,
          .dry_allowed_length = 1},
         {5, -1, 5, 5}};
  EXPECT_EQ(processed({2, 3}, c), (Floats{2, 3}));
}

// GEN-06: penalties of any size keep logits finite, and what is forbidden
// stays so.
TEST(Processors, OnlyForbiddingGivesMinusInfinity) {
  const float most = std::numeric_limits<float>::max();
  GenerationOptions options{.repetition_penalty = 1e300};
  EXPECT_EQ(processed({-1, 1, kNever}, {options, {0, 1, 2}}),
            (Floats{-most, 0, kNever}));
  options = {.presence_penalty = -1e300};
  EXPECT_EQ(processed({-1, 1, kNever}, {options, {0, 2}}),
            (Floats{most, 1, kNever}));
  options = {.logit_bias = {{0, 1e300}, {1, kForbid}, {2, 1e300}}};
  EXPECT_EQ(processed({-1, 1, kNever}, {options}),
            (Floats{most, kNever, kNever}));
}

}  // namespace
}  // namespace skua
