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

// GEN-46
TEST_F(BatchTest, EveryRowEndsOnceHoweverItEnds) {
  struct Row {
    GenerationOptions options;
    FinishReason reason;
  };
  int n_seen = 0;
  const LogitsProcessor throws = [&](auto, auto) {
    if (++n_seen == 4) throw Error("processor", "broke");
  };
  const std::vector<Row> rows = {
      {{.max_tokens = 9}, FinishReason::kLength},
      {{.max_tokens = 0}, FinishReason::kLength},
      {{.max_tokens = 9999, .fit_to_context = true, .ignore_eos = true},
       FinishReason::kLength},
      {{.stop_ids = {378}}, FinishReason::kStop},
      {{.stop = {"upon"}}, FinishReason::kStop},
      {{.max_tokens = 400, .time_limit_ms = 1}, FinishReason::kTime},
      {{.max_tokens = 400}, FinishReason::kCancelled},
      {{.processors = {throws}}, FinishReason::kError},
      {{.temperature = -1}, FinishReason::kError},
  };
  BatchStream batch = model_->batch();
  for (const Row& row : rows) batch.add("", row.options);
  std::vector<int> n_pieces(rows.size()), n_ends(rows.size());
  while (const auto event = batch.next()) {
    EXPECT_EQ(n_ends[event->row], 0) << event->row << " goes on";
    ++(event->piece ? n_pieces : n_ends)[event->row];
    if (event->row == 6) batch.cancel(6);
  }
  EXPECT_EQ(batch.next(), std::nullopt);
  EXPECT_EQ(n_ends, std::vector<int>(rows.size(), 1));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(batch.finish_reason(i), rows[i].reason) << i;
    EXPECT_EQ(batch.error(i).has_value(),
              rows[i].reason == FinishReason::kError);
  }
  EXPECT_EQ(n_pieces[0], 9);
  EXPECT_EQ(n_pieces[1], 0);
  EXPECT_EQ(n_pieces[2], 511);
  EXPECT_EQ(n_pieces[3], 4);
  EXPECT_EQ(n_pieces[7], 3);
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
