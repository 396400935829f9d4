#include "generate/session.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <random>

#include "models/load.h"
#include "skua/error.h"
#include "tests/memory.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::numbers;
using Ids = std::vector<std::int32_t>;

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = test::asset("goldens/lm/llama");
    if (folder.empty()) GTEST_SKIP() << "no test asset goldens/lm/llama";
    loaded_ = load_model(folder);
    model_ = loaded_->model.get();
  }
  std::vector<float> fresh(const Ids& ids) const {
    Session session(*model_);
    return numbers(session.prefill(ids));
  }
  Ids some(int n, unsigned seed = 1) const {
    std::mt19937 engine(seed);
    Ids ids;
    for (int i = 0; i < n; ++i)
      ids.push_back(static_cast<std::int32_t>(
          engine() % static_cast<unsigned>(model_->vocab_size())));
    return ids;
  }

  std::shared_ptr<const LoadedModel> loaded_;
  const CausalLM* model_ = nullptr;
};

// GEN-38
TEST(SessionMemory, AChunkHoldsTheResultsOfTwoLayers) {
  const auto folder = test::asset("lm/stories260K/hf");
  if (folder.empty()) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto loaded = load_model(folder);
  constexpr int kTokens = 288;
  Session session(*loaded->model, 0, kTokens);
  const Ids ids(kTokens, 1);
  mx::synchronize();
  const std::size_t before = mx::get_active_memory();
  mx::reset_peak_memory();
  session.prefill(ids).eval();
  // Of 64 numbers a token: in each of two layers queries, keys with values,
  // attention and two sums; besides what enters them, and rotary angles.
  constexpr std::size_t kResultBytes = kTokens * 64 * sizeof(float);
  EXPECT_LE(mx::get_peak_memory() - before, (2 * 5 + 2) * kResultBytes);
}

// GEN-38: beyond keys and values a long prompt takes no more than a short one.
TEST(SessionMemory, APromptTakesNoMoreThanItsChunksAndItsCache) {
  const auto folder = test::asset("lm/stories260K/hf");
  if (folder.empty()) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto loaded = load_model(folder);
  struct Taken {
    std::size_t in_arrays;
    std::optional<std::size_t> in_all;
  };
  const auto take = [&](int n) {
    const auto cache = std::make_shared<Cache>(loaded->model->make_cache());
    Session session(*loaded->model, cache, 0);
    mx::synchronize();
    mx::clear_cache();
    const std::size_t before = mx::get_active_memory();
    mx::reset_peak_memory();
    const test::PeakMemory peak;
    session.prefill(Ids(static_cast<std::size_t>(n), 1)).eval();
    auto all = peak.more();
    if (all) *all -= std::min(*all, cache->n_bytes());
    return Taken{mx::get_peak_memory() - before, all};
  };
  take(600);
  const Taken some = take(600), many = take(4000);  // two chunks and more
  // A row of scores for each of a chunk's tokens would be 4.6 MB a head, the
  // logits of all tokens 8.2 MB.
  EXPECT_LE(many.in_arrays, some.in_arrays + 4096);
  if (!many.in_all) GTEST_SKIP() << "memory is not counted anew";
  EXPECT_LE(*many.in_all, *some.in_all + (3 << 20));
}

// GEN-35, GEN-36, COMP-02
TEST_F(SessionTest, EmptyAndForeignIdsAreRefusedAndNothingIsFed) {
  Session session(*model_);
  const int v = model_->vocab_size();
  SKUA_EXPECT_ERROR(session.prefill({}), InvalidInput, "no tokens");
  for (const std::int32_t bad : {-1, v, 1 << 30}) {
    SKUA_EXPECT_ERROR(session.prefill(Ids{1, 2, bad}), InvalidInput,
                      "[prompt] token 2 is " + std::to_string(bad));
    EXPECT_THROW(session.decode(bad), InvalidInput);
  }
  EXPECT_TRUE(session.tokens().empty());
  EXPECT_EQ(numbers(session.prefill(some(5))), fresh(some(5)));
}

// GEN-39, COMP-02
TEST_F(SessionTest, MoreThanTheContextIsRefusedAndTheSessionIsAsItWas) {
  Session session(*model_, 8);
  const Ids ids = some(8);
  session.prefill(std::span(ids).first(6));
  SKUA_EXPECT_ERROR(session.prefill(Ids{1, 2, 3}), InvalidInput,
                    "has 9 tokens, expected at most the context of 8");
  EXPECT_EQ(session.tokens(), Ids(ids.begin(), ids.begin() + 6));
  EXPECT_EQ(numbers(session.prefill(std::span(ids).last(2))), fresh(ids));
  EXPECT_THROW(session.decode(1), InvalidInput);
  EXPECT_EQ(session.tokens(), ids);
  session.rewind(7);
  EXPECT_EQ(numbers(session.decode(ids[7])), fresh(ids));
}

TEST_F(SessionTest, AFailedExtendLeavesTheSessionAsItWas) {
  Session session(*model_, 8);
  const Ids ids = some(6);
  session.prefill(ids);
  Ids foreign = ids;
  foreign[2] = model_->vocab_size();
  EXPECT_THROW(session.extend_to(foreign), InvalidInput);
  EXPECT_THROW(session.extend_to({}), InvalidInput);
  EXPECT_THROW(session.extend_to(some(9, 2)), InvalidInput);
  EXPECT_EQ(session.tokens(), ids);
}

// GEN-37
TEST_F(SessionTest, ChunkedPrefillEqualsWhole) {
  const Ids ids = some(37);
  for (const int chunk : {1, 5, 32, 36, 37, 38}) {
    Session session(*model_, 0, chunk);
    EXPECT_EQ(numbers(session.prefill(ids)), fresh(ids)) << chunk;
    EXPECT_EQ(session.tokens(), ids);
  }
  EXPECT_THROW(Session(*model_, 0, 0), InvalidInput);
  EXPECT_THROW(Session(*model_, -1), InvalidInput);
}

// GEN-40
TEST_F(SessionTest, ProgressCountsAndMayStop) {
  const Ids ids = some(20);
  Session session(*model_, 0, 6);
  std::vector<int> seen;
  session.prefill(ids, [&](int n) { return seen.push_back(n), true; });
  EXPECT_EQ(seen, (std::vector<int>{6, 12, 18, 20}));

  Session stopped(*model_, 0, 6);
  const auto logits = stopped.prefill(ids, [](int n) { return n < 12; });
  const Ids fed(ids.begin(), ids.begin() + 12);
  EXPECT_EQ(stopped.tokens(), fed);
  EXPECT_EQ(numbers(logits), fresh(fed));
  EXPECT_EQ(numbers(stopped.prefill(std::span(ids).subspan(12))), fresh(ids));
}

// GEN-41
TEST_F(SessionTest, ExtendFeedsOnlyWhatIsNewAndAtLeastOne) {
  Session session(*model_, 0, 4);
  const auto extend = [&](const Ids& ids) {
    const std::size_t n_common = session.n_common(ids);
    int n_fed = 0;
    const auto logits =
        session.extend_to(ids, [&](int n) { return n_fed = n, true; });
    EXPECT_EQ(static_cast<std::size_t>(n_fed), ids.size() - n_common);
    EXPECT_EQ(session.tokens(), ids);
    EXPECT_EQ(numbers(logits), fresh(ids));
    return n_fed;
  };
  const Ids a = some(10);
  EXPECT_EQ(extend(a), 10);
  Ids longer = a;
  longer.push_back(3);
  longer.push_back(4);
  EXPECT_EQ(extend(longer), 2);
  EXPECT_EQ(extend(longer), 1) << "an exact hit feeds the last token again";
  EXPECT_EQ(extend(a), 1) << "a prefix feeds its last token again";
  Ids other = a;
  other[6] = (other[6] + 1) % model_->vocab_size();
  EXPECT_EQ(extend(other), 4);
  EXPECT_EQ(extend({other[0]}), 1);
}

// GEN-41, GEN-74
TEST(SessionWindows, ExtendReadsAgainWhatAWindowHasGivenUp) {
  const auto folder = test::asset("goldens/lm/gemma3_text");
  if (folder.empty()) GTEST_SKIP() << "no test asset goldens/lm/gemma3_text";
  const auto loaded = load_model(folder);
  Session session(*loaded->model, 0, 100);
  Ids ids;
  for (int i = 0; i < 700; ++i) ids.push_back(i * i % 101);
  session.prefill(ids);
  SKUA_EXPECT_ERROR(session.cache().trim(session.sequence(), 300), InvalidInput,
                    "cannot be trimmed to 300: layer 0 sees the last 7");
  EXPECT_EQ(session.tokens(), ids);
  Session copy = session.fork();
  copy.rewind(300);
  EXPECT_TRUE(copy.tokens().empty()) << "a window has given up what precedes";
  for (const int n_common : {690, 300}) {
    Ids other(ids.begin(), ids.begin() + n_common);
    for (int i = 0; i < 5; ++i) other.push_back(i);
    EXPECT_EQ(session.n_common(other), n_common == 690 ? 690u : 0u);
    const auto got = numbers(session.extend_to(other));
    EXPECT_EQ(session.tokens(), other);
    EXPECT_EQ(got, numbers(Session(*loaded->model).prefill(other)));
  }
}

// GEN-70
TEST_F(SessionTest, RewindsToWhatItHoldsAndNoFurther) {
  Session session(*model_);
  const Ids ids = some(12);
  session.prefill(ids);
  SKUA_EXPECT_ERROR(session.rewind(13), InvalidInput,
                    "is 13, expected 0 to 12");
  EXPECT_THROW(session.rewind(-1), InvalidInput);
  EXPECT_EQ(session.tokens(), ids);
  for (const int n : {12, 11, 4, 0}) {
    session.rewind(n);
    Ids want(ids.begin(), ids.begin() + n);
    want.push_back(1);
    EXPECT_EQ(numbers(session.decode(1)), fresh(want)) << n;
  }
}

// GEN-79
TEST_F(SessionTest, ForksDoNotDisturbEachOtherOverSeveralSteps) {
  Session a(*model_);
  const Ids prompt = some(9);
  a.prefill(prompt);
  Session b = a.fork();
  Ids mine = prompt, theirs = prompt;
  for (const std::int32_t id : some(5, 3)) {
    mine.push_back(id);
    theirs.push_back((id + 1) % model_->vocab_size());
    const auto x = a.decode(mine.back());
    const auto y = b.decode(theirs.back());
    EXPECT_EQ(numbers(x), fresh(mine));
    EXPECT_EQ(numbers(y), fresh(theirs));
  }
}

// COMP-01, COMP-04
TEST_F(SessionTest, AnyOrderOfCallsEqualsAFreshRun) {
  std::mt19937 engine(11);
  const auto random = [&](std::size_t n) { return engine() % n; };
  Session session(*model_, 300, 7);
  Ids held;
  for (int step = 0; step < 60; ++step) {
    mx::array logits = mx::array(0.0f);
    switch (held.size() > 200 ? 2 : random(4)) {
      case 0: {
        const Ids more = some(1 + static_cast<int>(random(20)), engine());
        logits = session.prefill(more);
        held.insert(held.end(), more.begin(), more.end());
        break;
      }
      case 1: {
        held.push_back(some(1, engine())[0]);
        logits = session.decode(held.back());
        break;
      }
      case 2: {
        held.resize(random(held.size() + 1));
        session.rewind(static_cast<int>(held.size()));
        if (step % 2 == 0) session = session.fork();
        continue;
      }
      default: {
        held.resize(random(held.size() + 1));
        const Ids more = some(1 + static_cast<int>(random(5)), engine());
        held.insert(held.end(), more.begin(), more.end());
        logits = session.extend_to(held);
      }
    }
    ASSERT_EQ(session.tokens(), held);
    ASSERT_EQ(numbers(logits), fresh(held)) << step;
  }
}

}  // namespace
}  // namespace skua
