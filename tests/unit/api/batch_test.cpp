#include <gtest/gtest.h>

#include <map>

#include "skua/skua.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

class BatchTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::stories_folder();
    if (!folder_) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    model_ = Model::load(folder_->path().string());
  }
  std::string alone(const std::string& text, const GenerationOptions& o) const {
    std::string answer;
    for (const Piece& piece : model_->complete(text, o)) answer += piece.text;
    return answer;
  }

  std::unique_ptr<test::TempDir> folder_;
  std::optional<Model> model_;
};

// GEN-46, GEN-67, GEN-68
TEST_F(BatchTest, RowsHaveTheirOwnOptionsAndABadOneFailsAlone) {
  BatchStream batch = model_->batch();
  const GenerationOptions greedy{.max_tokens = 12};
  const GenerationOptions warm{.max_tokens = 20, .temperature = 0.9, .seed = 4};
  const GenerationOptions stopped{.max_tokens = 40, .stop = {" a"}};
  EXPECT_EQ(batch.add("Once upon a time", greedy), 0u);
  EXPECT_EQ(batch.add("", greedy), 1u);
  EXPECT_EQ(batch.add("Tom was a cat", warm), 2u);
  EXPECT_EQ(batch.add("Lily", {.temperature = -1}), 3u);
  EXPECT_EQ(batch.add("Lily", {.max_tokens = 0}), 4u);
  EXPECT_EQ(batch.add("One day", stopped), 5u);
  EXPECT_EQ(batch.add("caf\xe9", greedy), 6u);

  std::map<std::size_t, std::string> texts;
  std::map<std::size_t, int> ends;
  while (const auto event = batch.next()) {
    EXPECT_EQ(ends.count(event->row), 0u) << "after the end";
    if (event->piece) {
      texts[event->row] += event->piece->text;
    } else {
      ++ends[event->row];
      EXPECT_NE(batch.finish_reason(event->row), FinishReason::kNone);
    }
  }
  EXPECT_EQ(ends.size(), 7u);
  EXPECT_EQ(texts[0], alone("Once upon a time", greedy));
  EXPECT_EQ(texts[2], alone("Tom was a cat", warm));
  EXPECT_EQ(texts[5], alone("One day", stopped));
  EXPECT_EQ(batch.finish_reason(0), FinishReason::kLength);
  EXPECT_EQ(batch.finish_reason(5), FinishReason::kStop);
  EXPECT_EQ(batch.stats(5).stop, " a");
  EXPECT_EQ(batch.stats(2).seed, 4u);
  EXPECT_EQ(batch.finish_reason(4), FinishReason::kLength);
  for (const std::size_t bad : {3u, 6u}) {
    EXPECT_EQ(batch.finish_reason(bad), FinishReason::kError);
    EXPECT_TRUE(batch.error(bad));
  }
  EXPECT_EQ(batch.error(3),
            "[options] temperature: got -1, expected 0 or more");
  EXPECT_FALSE(batch.error(0));
  SKUA_EXPECT_ERROR(batch.stats(7), InvalidInput, "row is 7");
}

// GEN-35: this tokenizer adds a bos, so that no prompt is empty.
TEST_F(BatchTest, AnEmptyPromptIsTheBeginningWhereBosIsAdded) {
  BatchStream batch = model_->batch();
  batch.add("", {.max_tokens = 3});
  while (batch.next()) {
  }
  EXPECT_EQ(batch.stats(0).n_prompt_tokens, 1);
  EXPECT_EQ(batch.stats(0).n_generated_tokens, 3);
}

TEST_F(BatchTest, ChatsOfABatchGoOnFromWhereTheyWere) {
  Chat chat(*model_);
  chat.user("Once upon a time");
  BatchStream batch = model_->batch();
  batch.add(chat, {.max_tokens = 5});
  while (batch.next()) {
  }
  chat.assistant("x").user("The end");
  const std::size_t row = batch.add(chat, {.max_tokens = 5});
  while (batch.next()) {
  }
  EXPECT_GT(batch.stats(row).n_cached_tokens, 3);
  EXPECT_EQ(batch.finish_reason(row), FinishReason::kLength);
}

TEST_F(BatchTest, ABatchLetGoOfLeavesItsChatsWhole) {
  Chat chat(*model_);
  chat.user("Once upon a time");
  {
    BatchStream batch = model_->batch();
    batch.add(chat, {.max_tokens = 30});
    batch.add("Tom", {.max_tokens = 30});
    for (int i = 0; i < 3; ++i) batch.next();
    SKUA_EXPECT_ERROR(chat.cache().save("unused"), InvalidInput,
                      "still read into");
  }
  EXPECT_EQ(model_->generate(chat, {.max_tokens = 9}),
            model_->generate(Chat(*model_).user("Once upon a time"),
                             {.max_tokens = 9}));
}

TEST_F(BatchTest, ARowCanBeCancelled) {
  BatchStream batch = model_->batch();
  batch.add("Once", {.max_tokens = 100});
  batch.add("Tom", {.max_tokens = 10});
  batch.next();
  batch.cancel(0);
  while (batch.next()) {
  }
  EXPECT_EQ(batch.finish_reason(0), FinishReason::kCancelled);
  EXPECT_EQ(batch.finish_reason(1), FinishReason::kLength);
  batch.cancel(0);
}

}  // namespace
}  // namespace skua
