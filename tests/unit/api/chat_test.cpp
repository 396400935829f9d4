#include <gtest/gtest.h>

#include "skua/skua.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

class ChatTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::stories_folder();
    if (!folder_) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    model_ = Model::load(folder_->path().string());
  }

  struct Answer {
    std::string text;
    std::vector<std::int32_t> ids;
    GenerationStats stats;
  };
  Answer answer(const Chat& chat, const GenerationOptions& options) const {
    Answer a;
    Stream stream = model_->stream(chat, options);
    for (const Piece& piece : stream) {
      a.text += piece.text;
      if (piece.token >= 0) a.ids.push_back(piece.token);
    }
    a.stats = stream.stats();
    return a;
  }

  std::unique_ptr<test::TempDir> folder_;
  std::optional<Model> model_;
};

// GEN-41
TEST_F(ChatTest, TheSecondTurnReadsOnlyWhatIsNewAndEqualsAFreshRun) {
  const GenerationOptions options = {.max_tokens = 30};
  Chat chat(*model_);
  chat.user("Once upon a time");
  const Answer first = answer(chat, options);
  EXPECT_EQ(first.stats.n_cached_tokens, 0);
  chat.assistant(first.text).user("The end came when");
  const Answer second = answer(chat, options);
  EXPECT_GT(second.stats.n_cached_tokens, 4);
  EXPECT_LT(second.stats.n_cached_tokens, second.stats.n_prompt_tokens);

  Chat fresh(*model_);
  fresh.user("Once upon a time")
      .assistant(first.text)
      .user("The end came when");
  const Answer again = answer(fresh, options);
  EXPECT_EQ(again.stats.n_cached_tokens, 0);
  EXPECT_EQ(second.ids, again.ids);
  EXPECT_EQ(second.text, again.text);
}

TEST_F(ChatTest, CopiesGoTheirOwnWays) {
  const GenerationOptions options = {.max_tokens = 10};
  Chat chat(*model_);
  chat.user("Once upon a time");
  answer(chat, options);
  Chat copy = chat;
  chat.user("Tom was a cat");
  copy.user("Lily had a dog");
  EXPECT_EQ(chat.messages().size(), 2u);
  EXPECT_EQ(copy.messages()[1].content, "Lily had a dog");
  // At the same time, step by step.
  Stream a = model_->stream(chat, options);
  Stream b = model_->stream(copy, options);
  std::string from_a, from_b;
  for (int i = 0; i < 10; ++i) {
    from_a += a.next()->text;
    from_b += b.next()->text;
  }
  EXPECT_EQ(from_a,
            model_->generate(
                Chat(*model_).user("Once upon a time").user("Tom was a cat"),
                options));
  EXPECT_EQ(from_b,
            model_->generate(
                Chat(*model_).user("Once upon a time").user("Lily had a dog"),
                options));
}

TEST_F(ChatTest, ARefusedTurnLosesNothing) {
  Chat chat(*model_);
  chat.user("Once upon a time");
  const Answer first = answer(chat, {.max_tokens = 5});
  EXPECT_THROW(model_->stream(chat, {.temperature = -1}), InvalidInput);
  const Answer again = answer(chat, {.max_tokens = 5});
  EXPECT_EQ(again.text, first.text);
  EXPECT_GT(again.stats.n_cached_tokens, 0);
}

TEST_F(ChatTest, ACancelledStreamLeavesAChatThatGoesOn) {
  Chat chat(*model_);
  chat.user("Once upon a time");
  {
    Stream stream = model_->stream(chat, {.max_tokens = 50});
    stream.next();
    stream.cancel();
    while (stream.next()) {
    }
    EXPECT_EQ(stream.finish_reason(), FinishReason::kCancelled);
  }
  Chat fresh(*model_);
  fresh.user("Once upon a time");
  EXPECT_EQ(answer(chat, {.max_tokens = 9}).ids,
            answer(fresh, {.max_tokens = 9}).ids);
}

TEST_F(ChatTest, CompleteContinuesRawText) {
  std::string text;
  for (const Piece& piece :
       model_->complete("Once upon a time", {.max_tokens = 12}))
    text += piece.text;
  EXPECT_EQ(text, ", there was a little girl named Lily. She");
  EXPECT_EQ(model_->detokenize(model_->tokenize("Once upon a time")),
            "<s> Once upon a time");
}

TEST_F(ChatTest, TheContextIsTheModelsOrLess) {
  EXPECT_EQ(model_->context(), 512);
  const std::string path = folder_->path().string();
  EXPECT_EQ(Model::load(path, {.context = 64}).context(), 64);
  for (const int bad : {-1, 513}) {
    SKUA_EXPECT_ERROR(Model::load(path, {.context = bad}), InvalidInput,
                      "context is " + std::to_string(bad));
  }
}

TEST_F(ChatTest, TextThatIsNoUtf8IsRefused) {
  Chat chat(*model_);
  EXPECT_THROW(chat.user("caf\xe9"), InvalidInput);
  EXPECT_TRUE(chat.messages().empty());
  EXPECT_THROW(model_->complete("caf\xe9"), InvalidInput);
}

class ToolChat : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = test::stories_folder();
    if (!folder) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    test::write_text(folder->path() / "chat_template.jinja",
                     "{% for m in messages %}{{ m.role }}:{{ m.content }}"
                     "{% if m.reasoning_content %}({{ m.reasoning_content }})"
                     "{% endif %}{% for c in m.tool_calls %}[{{ c.id }} "
                     "{{ c.function.name }} {{ c.function.arguments | tojson "
                     "}}]{% endfor %}{% if m.name %}<{{ m.tool_call_id }} "
                     "{{ m.name }}>{% endif %};{% endfor %}");
    model_ = Model::load(folder->path().string());
  }
  std::optional<Model> model_;
};

TEST_F(ToolChat, AConversationGoesOnBehindACall) {
  const ParsedMessage answer = {
      .reasoning = "hm",
      .content = "",
      .calls = {{"call_0", "weather", R"({"city":"Lyon"})"},
                {"call_1", "now", "{}"}}};
  Chat chat(*model_);
  chat.user("Rain?").assistant(answer);
  chat.tool(answer.calls[0], "3 mm").tool(answer.calls[1], "noon");
  EXPECT_EQ(chat.prompt(),
            "user:Rain?;assistant:(hm)[call_0 weather {\"city\": \"Lyon\"}]"
            "[call_1 now {}];tool:3 mm<call_0 weather>;tool:noon<call_1 now>;");
  const auto& messages = chat.messages();
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[1].tool_calls[0].name, "weather");
  EXPECT_EQ(messages[3].tool_call_id, "call_1");
  EXPECT_FALSE(model_->generate(chat, {.max_tokens = 4}).empty());
}

TEST_F(ToolChat, CallsThatCannotBeShownAreRefused) {
  Chat chat(*model_);
  SKUA_EXPECT_ERROR(chat.assistant(ParsedMessage{.calls = {{"", "f", "{a}"}}}),
                    InvalidInput, "arguments of 'f'");
  SKUA_EXPECT_ERROR(chat.tool({"", "f", "{}"}, "caf\xe9"), InvalidInput,
                    "tool message");
  EXPECT_TRUE(chat.messages().empty());
}

}  // namespace
}  // namespace skua
