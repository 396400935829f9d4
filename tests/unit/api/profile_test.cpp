#include <gtest/gtest.h>

#include "generate/oracle.h"
#include "models/load.h"
#include "skua/skua.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

class ModelProfile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::stories_folder();
    if (!folder_) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  }
  void write(const std::string& text) const {
    test::write_text(folder_->path() / "skua.toml", text);
  }
  Model load(const ModelOptions& options = {}) const {
    return Model::load(folder_->path().string(), options);
  }

  std::unique_ptr<test::TempDir> folder_;
};

std::vector<Piece> pieces(const Model& model, GenerationOptions options) {
  options.logprobs = true;
  std::vector<Piece> all;
  Stream stream = model.complete("Once upon a time", options);
  for (const Piece& piece : stream) all.push_back(piece);
  return all;
}

// COMP-14
TEST_F(ModelProfile, OptionsGoOverTheFile) {
  EXPECT_EQ(load().context(), 512);
  EXPECT_EQ(load().default_options().prefill_chunk, 2048);
  write("[prefill]\nchunk = 7\n[decode]\ncontext = 64\n");
  EXPECT_EQ(load().context(), 64);
  EXPECT_EQ(load().default_options().prefill_chunk, 7);
  EXPECT_EQ(load({.context = 32}).context(), 32);
  EXPECT_EQ(load({.context = 0}).context(), 512);
  write("[decode]\n\ncontext = 513\n");
  SKUA_EXPECT_ERROR(load(), InvalidInput, "skua.toml:3]");
}

// COMP-14
TEST_F(ModelProfile, TheCacheIsThatOfTheFile) {
  const auto first = [](const Model& model) {
    return *pieces(model, {.max_tokens = 2}).at(1).logprob;
  };
  const double plain = first(load()),
               int8 = first(load({.kv_type = KvType::kInt8}));
  ASSERT_NE(plain, int8);
  write("[decode]\nkv_type = \"int8\"\n");
  EXPECT_EQ(first(load()), int8);
  EXPECT_EQ(first(load({.kv_type = KvType::kBf16})), plain);
  const double int4 = first(load({.kv_type = KvType::kInt4}));
  ASSERT_NE(int4, int8);
  write("[decode]\nkv_quantize_from = 0\nkv_quantized_type = \"int4\"\n");
  EXPECT_EQ(first(load()), int4);
  EXPECT_EQ(first(load({.kv_quantized_type = KvType::kInt8})), int8);
  EXPECT_EQ(first(load({.kv_quantize_from = -1})), plain);
  EXPECT_THROW(load({.kv_quantized_type = KvType::kF16}), InvalidInput);
}

// COMP-05: what a cache of int8 would round shows that there is none.
TEST_F(ModelProfile, AnOracleAnswersByTheOracle) {
  const Model model = load({.kv_type = KvType::kInt8, .oracle = true});
  const auto loaded = load_model(folder_->path());
  const Oracle oracle(*loaded->model);
  std::vector<std::int32_t> ids = model.tokenize("Once upon a time");
  const auto answer = pieces(model, {.max_tokens = 20});
  ASSERT_EQ(answer.size(), 20u);
  for (const Piece& piece : answer) {
    const std::vector<double> scores = oracle.log_probabilities(ids);
    const auto token = static_cast<std::size_t>(piece.token);
    EXPECT_NEAR(*piece.logprob, scores[token], 1e-6);
    EXPECT_EQ(scores[token], *std::ranges::max_element(scores));
    ids.push_back(piece.token);
  }
}

TEST_F(ModelProfile, AnOracleGoesOnInChatsBatchesAndDraftsOfItsOwnText) {
  const Model exact =
      load({.kv_type = KvType::kF32, .precision = Precision::kExact});
  const Model oracle = load({.oracle = true});
  const auto turns = [](const Model& model) {
    Chat chat(model);
    const GenerationOptions options{.max_tokens = 12};
    std::string text = model.generate(chat.user("Once upon a time"), options);
    chat.assistant(text).user("Then");
    return text + "|" + model.generate(chat, options);
  };
  EXPECT_EQ(turns(oracle), turns(exact));
  const auto rows = [](const Model& model) {
    BatchStream batch = model.batch();
    batch.add("Once upon a time", {.max_tokens = 9, .prompt_logprobs = true});
    batch.add("Lily", {.max_tokens = 12,
                       .draft_tokens = 4,
                       .prompt_lookup = true,
                       .draft_fixed = true});
    std::string texts[2];
    while (const auto event = batch.next())
      if (event->piece) texts[event->row] += event->piece->text;
    EXPECT_EQ(batch.stats(0).prompt_logprobs.size(), 4u);
    return texts[0] + "|" + texts[1];
  };
  EXPECT_EQ(rows(oracle), rows(exact));
}

TEST_F(ModelProfile, AnOracleTakesNoDraftPrecisionOrPromptCache) {
  SKUA_EXPECT_ERROR(load({.draft = folder_->path().string(), .oracle = true}),
                    InvalidInput, "no draft");
  SKUA_EXPECT_ERROR(load({.precision = Precision::kFast, .oracle = true}),
                    InvalidInput, "kExact");
  const Model model = load({.oracle = true});
  PromptCache cache(model);
  Stream stream = model.complete("Once", cache, {.max_tokens = 2});
  while (stream.next()) {
  }
  {
    const Stream over = std::move(stream);
  }
  const std::string file = folder_->path() / "cache";
  SKUA_EXPECT_ERROR(cache.save(file), Unsupported, "oracle");
  SKUA_EXPECT_ERROR(cache.load(file), Unsupported, "oracle");
}

// COMP-17
TEST_F(ModelProfile, WarmingUpTakesTimeAndChangesNothing) {
  const Model cold = load(), warm = load();
  EXPECT_GT(warm.warm_up(), 0);
  EXPECT_GT(warm.warm_up(), 0);
  const auto a = pieces(cold, {.max_tokens = 9}),
             b = pieces(warm, {.max_tokens = 9});
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(a[i].logprob, b[i].logprob);
}

}  // namespace
}  // namespace skua
