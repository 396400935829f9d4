#include "models/load.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/models/tiny_gguf.h"

namespace skua {
namespace {

using test::numbers;

std::vector<float> last_logits(const CausalLM& model,
                               const std::vector<std::int32_t>& ids) {
  Cache cache = model.make_cache();
  Batch batch;
  batch.add(cache.add_sequence(), 0, static_cast<int>(ids.size()));
  batch.want_last();
  return numbers(model.forward(
      mx::array(ids.begin(), {batch.n_rows()}, mx::int32), batch, cache));
}

// COMP-19, COMP-30: each encoding gives the logits that its own decoded
// numbers give; without loss they are those of the folder.
TEST(LoadModel, Stories260KHasItsLogitsInEveryFormat) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K");
  const Json golden = read_json(folder / "expected_gguf_quant.json");
  ASSERT_EQ(golden.size(), 7u);
  for (const auto& [format, expected] : golden.items()) {
    SCOPED_TRACE(format);
    const auto file = folder / ("stories260K-v3-" + format + ".gguf");
    const auto loaded = load_model(file, {.precision = Precision::kExact});
    auto ids = expected["greedy_ids"].get<std::vector<std::int32_t>>();
    ids.resize(5);
    const auto got = last_logits(*loaded->model, ids);
    const Json& want = expected["last_prompt_logits"];
    ASSERT_EQ(want.size(), 16u);
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(got[i], want[i].get<double>(), 2e-4) << i;
    if (format == "f32") {
      const auto same = last_logits(
          *load_model(folder / "hf", {.precision = Precision::kExact})->model,
          ids);
      EXPECT_LE(test::worst(got, same), 1e-4);
    }
    EXPECT_TRUE(loaded->tokenizer);
    EXPECT_TRUE(loaded->eos_ids.contains(2));
    EXPECT_EQ(loaded->context, 512);
  }
}

// A program that embeds a model may use MLX itself.
TEST(LoadModel, LeavesTheMemoryLimitOfMlxAlone) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K");
  constexpr std::size_t kLimit = std::size_t{1} << 40;
  const std::size_t before = mx::set_memory_limit(kLimit);
  const auto loaded = load_model(folder / "hf");
  EXPECT_EQ(mx::get_memory_limit(), kLimit);
  mx::set_memory_limit(before);
}

// Both kinds of checkpoint tell how much is read, up to all of it.
TEST(LoadModel, ProgressGrowsToTheSizeOfTheWeights) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K");
  for (const auto* name : {"hf", "stories260K-v3-q8_0.gguf"}) {
    SCOPED_TRACE(name);
    std::vector<std::uint64_t> steps = {0};
    LoadOptions options;
    std::uint64_t total = 0;
    options.progress = [&](std::uint64_t done, std::uint64_t of) {
      steps.push_back(done);
      total = of;
    };
    const auto loaded = load_model(folder / name, options);
    EXPECT_TRUE(std::ranges::is_sorted(steps));
    EXPECT_GT(steps.size(), 10u);
    EXPECT_EQ(steps.back(), total);
    EXPECT_EQ(total, loaded->info.n_bytes);
  }
}

class LoadFolder : public testing::Test {
 protected:
  std::filesystem::path folder() const { return dir_.path(); }
  void config(const std::string& text) const {
    test::write_text(folder() / "config.json", text);
  }
  // One empty but valid shard.
  void no_tensors() const {
    test::write_text(folder() / "model.safetensors",
                     std::string("\x02\0\0\0\0\0\0\0{}", 10));
  }
  test::TempDir dir_;
};

TEST_F(LoadFolder, APathThatIsNotThere) {
  SKUA_EXPECT_ERROR(load_model(folder() / "absent"), NotFound,
                    "absent] is neither a folder nor a file");
}

TEST_F(LoadFolder, AFolderWithoutConfig) {
  SKUA_EXPECT_ERROR(load_model(folder()), NotFound, "has no config.json");
}

TEST_F(LoadFolder, AConfigThatIsNoJsonOrNoObject) {
  config("{");
  SKUA_EXPECT_ERROR(load_model(folder()), InvalidInput, "config.json");
  config("[]");
  SKUA_EXPECT_ERROR(load_model(folder()), InvalidInput, "config.json");
}

TEST_F(LoadFolder, AFolderWithoutWeights) {
  config(R"({"model_type": "llama"})");
  SKUA_EXPECT_ERROR(load_model(folder()), Error, "safetensors");
}

TEST_F(LoadFolder, AnUnknownModelTypeListsThoseKnown) {
  config(R"({"model_type": "warp-drive"})");
  no_tensors();
  SKUA_EXPECT_ERROR(load_model(folder()), Unsupported,
                    "model_type is warp-drive, expected one of gemma3, "
                    "gemma3_text, llama, mimo, mistral, qwen2, qwen3");
  config("{}");
  SKUA_EXPECT_ERROR(load_model(folder()), InvalidInput,
                    "model_type is missing");
}

TEST_F(LoadFolder, AFieldOrTensorThatTheModelNeeds) {
  config(R"({"model_type": "llama"})");
  no_tensors();
  SKUA_EXPECT_ERROR(load_model(folder()), InvalidInput,
                    "config.json] vocab_size is missing");
  config(R"({"model_type": "llama", "vocab_size": 11, "hidden_size": 32,
             "intermediate_size": 48, "num_hidden_layers": 1,
             "num_attention_heads": 4, "rms_norm_eps": 1e-5})");
  SKUA_EXPECT_ERROR(load_model(folder()), InvalidInput,
                    "tensor model.embed_tokens.weight is missing");
}

TEST_F(LoadFolder, AQuantisationMethodOfAnotherProgram) {
  config(R"({"model_type": "llama",
             "quantization_config": {"quant_method": "awq", "bits": 4}})");
  no_tensors();
  SKUA_EXPECT_ERROR(load_model(folder()), Unsupported, "quant_method is");
}

// GEN-45
TEST_F(LoadFolder, EndTokens) {
  SKUA_ASSET_OR_SKIP(source, "goldens/lm/llama");
  std::filesystem::copy_file(source / "model.safetensors",
                             folder() / "model.safetensors");
  Json values = read_json(source / "config.json");
  const int vocab = values["vocab_size"];
  for (const Json& bad : {Json(vocab), Json(-1), Json("2"), Json(1.5),
                          Json(std::vector<int>{0, vocab})}) {
    values["eos_token_id"] = bad;
    config(values.dump());
    SKUA_EXPECT_ERROR(load_model(folder()), InvalidInput, "eos_token_id is ");
  }
  values["eos_token_id"] = std::vector<int>{0, vocab - 1};
  config(values.dump());
  test::write_text(folder() / "generation_config.json",
                   R"({"eos_token_id": 3})");
  const auto model = load_model(folder());
  EXPECT_EQ(model->eos_ids, std::set<std::int32_t>{3});
  test::write_text(folder() / "generation_config.json",
                   R"({"temperature": 1})");
  EXPECT_EQ(load_model(folder())->eos_ids,
            (std::set<std::int32_t>{0, vocab - 1}));
  EXPECT_EQ(model->tokenizer, nullptr);
  SKUA_EXPECT_ERROR(model->need_tokenizer(), Unsupported,
                    "has no tokenizer.json");
  SKUA_ASSET_OR_SKIP(stories, "lm/stories260K/hf");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    std::filesystem::copy_file(stories / name, folder() / name);
  EXPECT_EQ(load_model(folder())->eos_ids,
            (std::set<std::int32_t>{0, 2, vocab - 1}));
}

// COMP-21
TEST_F(LoadFolder, AHeadIsLeftOutWhereTheFlagSaysTied) {
  SKUA_ASSET_OR_SKIP(source, "goldens/lm/llama");
  std::filesystem::copy_file(source / "model.safetensors",
                             folder() / "model.safetensors");
  Json values = read_json(source / "config.json");
  ASSERT_EQ(values["tie_word_embeddings"], false);
  config(values.dump());
  const std::vector<std::int32_t> ids = {1, 2, 3};
  const auto untied = last_logits(*load_model(folder())->model, ids);
  values["tie_word_embeddings"] = true;
  config(values.dump());
  EXPECT_NE(last_logits(*load_model(folder())->model, ids), untied);
}

// COMP-21
TEST_F(LoadFolder, WithoutTheFlagTheHeadIsTied) {
  SKUA_ASSET_OR_SKIP(source, "goldens/lm/llama_tied");
  std::filesystem::copy_file(source / "model.safetensors",
                             folder() / "model.safetensors");
  Json values = read_json(source / "config.json");
  values.erase("tie_word_embeddings");
  config(values.dump());
  const std::vector<std::int32_t> ids = {1, 2, 3};
  EXPECT_EQ(last_logits(*load_model(folder())->model, ids),
            last_logits(*load_model(source)->model, ids));
}

TEST(Forward, RefusesWhatDoesNotFitAndLeavesTheCacheAsItWas) {
  SKUA_ASSET_OR_SKIP(folder, "goldens/lm/llama");
  const auto loaded = load_model(folder);
  const CausalLM& model = *loaded->model;
  Cache cache = model.make_cache();
  const int s = cache.add_sequence();
  Batch batch;
  batch.add(s, 0, 3);
  const auto ids = mx::array({1, 2, 3}, mx::int32);
  SKUA_EXPECT_ERROR(model.forward(mx::array({1, 2}, mx::int32), batch, cache),
                    InvalidInput, "[forward] ids are [2], expected [3]");
  EXPECT_THROW(model.forward(mx::astype(ids, mx::int64), batch, cache),
               InvalidInput);
  for (const int row : {-1, 3}) {
    batch.output_rows = {row};
    SKUA_EXPECT_ERROR(model.forward(ids, batch, cache), InvalidInput,
                      "output row");
  }
  batch.output_rows = {2};
  batch.segments[0].position = 1;
  EXPECT_THROW(model.forward(ids, batch, cache), InvalidInput);
  EXPECT_EQ(cache.length(s), 0);
}

TEST(Forward, GivesTheRowsThatAreWantedInTheirOrder) {
  SKUA_ASSET_OR_SKIP(folder, "goldens/lm/llama");
  const auto loaded = load_model(folder);
  const auto run = [&](const std::vector<int>& rows) {
    Cache cache = loaded->model->make_cache();
    Batch batch;
    batch.add(cache.add_sequence(), 0, 3);
    batch.output_rows = rows;
    return loaded->model->forward(mx::array({1, 2, 3}, mx::int32), batch,
                                  cache);
  };
  const mx::array all = run({0, 1, 2});
  EXPECT_EQ(run({}).shape(), (mx::Shape{0, loaded->model->vocab_size()}));
  for (const std::vector<int>& rows :
       {std::vector{1}, {2, 0}, {2, 1, 0}, {1, 1, 1}, {2, 2}, {0, 1, 2, 0}}) {
    const auto want = mx::take(
        all, mx::array(rows.begin(), {static_cast<int>(rows.size())}), 0);
    EXPECT_EQ(numbers(run(rows)), numbers(want));
  }
}

}  // namespace
}  // namespace skua
