#include <gtest/gtest.h>

#include "skua/skua.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

class PromptCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::stories_folder();
    if (!folder_) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    model_ = Model::load(folder_->path().string());
    file_ = (folder_->path() / "cache.safetensors").string();
  }
  static std::string drain(Stream stream, GenerationStats* stats = nullptr) {
    std::string text;
    for (const Piece& piece : stream) text += piece.text;
    if (stats) *stats = stream.stats();
    return text;
  }

  const std::string story_ = "Once upon a time, there was a little girl";
  const GenerationOptions options_{.max_tokens = 12};
  std::unique_ptr<test::TempDir> folder_;
  std::optional<Model> model_;
  std::string file_;
};

// GEN-41, GEN-77
TEST_F(PromptCacheTest, WhatWasReadIsNotReadAgainEvenFromAFile) {
  PromptCache cache(*model_);
  EXPECT_EQ(cache.n_tokens(), 0);
  SKUA_EXPECT_ERROR(cache.save(file_), InvalidInput, "is empty");
  const std::string text = drain(model_->complete(story_, cache, options_));
  EXPECT_EQ(text, drain(model_->complete(story_, options_)));
  EXPECT_GT(cache.n_tokens(), 12);
  cache.save(file_);

  PromptCache loaded(*model_);
  loaded.load(file_);
  EXPECT_EQ(loaded.n_tokens(), cache.n_tokens());
  GenerationStats stats;
  EXPECT_EQ(drain(model_->complete(story_, loaded, options_), &stats), text);
  // An exact hit: the last token alone is read again.
  EXPECT_EQ(stats.n_cached_tokens, stats.n_prompt_tokens - 1);

  Chat chat(*model_);
  chat.cache().load(file_);
  chat.user(story_);
  drain(model_->stream(chat, options_), &stats);
  EXPECT_GT(stats.n_cached_tokens, 5);
}

// GEN-78
TEST_F(PromptCacheTest, AFileOfAnotherModelOrCacheIsRefusedAndNothingIsLost) {
  PromptCache cache(*model_);
  drain(model_->complete(story_, cache, options_));
  cache.save(file_);
  const Model other =
      Model::load(folder_->path().string(), {.kv_type = KvType::kF32});
  PromptCache of_other(other);
  drain(other.complete("Tom", of_other, options_));
  const int n_held = of_other.n_tokens();
  SKUA_EXPECT_ERROR(of_other.load(file_), InvalidInput, "bf16");
  EXPECT_EQ(of_other.n_tokens(), n_held);
  EXPECT_THROW(of_other.load("none.safetensors"), NotFound);
}

TEST_F(PromptCacheTest, AModelIsTheSameWhereverItsFilesLie) {
  const auto elsewhere = test::stories_folder();
  const std::string identity = model_->identity();
  EXPECT_TRUE(identity.starts_with("llama ")) << identity;
  EXPECT_EQ(Model::load(elsewhere->path().string()).identity(), identity);
  const auto quantized = test::asset("lm/stories260K/stories260K-v3-q8_0.gguf");
  EXPECT_NE(Model::load(quantized.string()).identity(), identity);
}

TEST_F(PromptCacheTest, OfAnotherModelIsRefusedInMemoryToo) {
  const Model other = Model::load(folder_->path().string());
  PromptCache cache(*model_);
  drain(model_->complete(story_, cache, options_));
  SKUA_EXPECT_ERROR(other.complete(story_, cache, options_), InvalidInput,
                    "[prompt cache] is one of another model");
  Chat chat(*model_);
  chat.user(story_);
  SKUA_EXPECT_ERROR(other.stream(chat, options_), InvalidInput,
                    "[chat] is one of another model");
  EXPECT_GT(cache.n_tokens(), 0);
}

// SPEC-20: and after a stream that was let go of in the middle.
TEST_F(PromptCacheTest, AStreamLetGoOfLeavesACacheThatIsWhole) {
  PromptCache cache(*model_);
  {
    Stream stream = model_->complete(story_, cache, options_);
    stream.next();
    stream.next();
  }
  EXPECT_GT(cache.n_tokens(), 5);
  cache.save(file_);
  PromptCache loaded(*model_);
  loaded.load(file_);
  EXPECT_EQ(loaded.n_tokens(), cache.n_tokens());
  const std::string whole = drain(model_->complete(story_, options_));
  EXPECT_EQ(drain(model_->complete(story_, loaded, options_)), whole);
  GenerationOptions lookup = options_;
  lookup.draft_tokens = 4;
  lookup.prompt_lookup = true;
  EXPECT_EQ(drain(model_->complete(story_, cache, lookup)), whole);
  EXPECT_EQ(drain(model_->complete(story_, cache, options_)), whole);
}

// SPEC-09, SPEC-17
TEST_F(PromptCacheTest, ADraftModelIsLoadedAndUsed) {
  const Model drafted = Model::load(folder_->path().string(),
                                    {.draft = folder_->path().string()});
  GenerationOptions options = drafted.default_options();
  EXPECT_EQ(options.draft_tokens, 4);
  options.max_tokens = 12;
  options.draft_fixed = true;
  GenerationStats stats;
  EXPECT_EQ(drain(drafted.complete(story_, options), &stats),
            drain(model_->complete(story_, options_)));
  EXPECT_GT(stats.draft->n_accepted, 5);
  EXPECT_THROW(model_->complete(story_, options), InvalidInput);
}

}  // namespace
}  // namespace skua
