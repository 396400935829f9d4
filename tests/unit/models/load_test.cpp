#include "models/load.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cstring>

#include "base/safetensors.h"
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

// A golden model in a folder of its own, to change.
struct Copy {
  explicit Copy(const std::string& name)
      : source(test::asset("goldens/lm/" + name)) {
    if (source.empty()) return;
    config = read_json(source / "config.json");
    for (const SafetensorsFile& file : open_checkpoint(source))
      for (const SafeTensor& tensor : file.tensors())
        if (tensor.dtype == SafeDtype::kF32)
          tensors.emplace(tensor.name, to_array(tensor));
  }
  static mx::array to_array(const SafeTensor& tensor) {
    const mx::Shape shape(tensor.shape.begin(), tensor.shape.end());
    std::vector<float> values(tensor.data.size() / sizeof(float));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return mx::array(values.begin(), shape);
  }
  std::shared_ptr<const LoadedModel> load(const std::string& config_text) {
    std::vector<SafeTensor> list;
    for (auto& [name, x] : tensors) {
      x = mx::contiguous(x);
      x.eval();
      list.push_back({name,
                      SafeDtype::kF32,
                      {x.shape().begin(), x.shape().end()},
                      {x.data<std::byte>(), x.nbytes()}});
    }
    write_safetensors(folder.path() / "model.safetensors", list, {});
    test::write_text(folder.path() / "config.json", config_text);
    return load_model(folder.path(), {.precision = Precision::kExact});
  }

  std::filesystem::path source;
  Json config;
  std::map<std::string, mx::array> tensors;
  test::TempDir folder;
};

// COMP-01: norms without their 1, experts one by one, convolutions as PyTorch
// has them, heads that only training used.
TEST(LoadModel, Qwen3NextAsFirstPublishedEqualsTheConverted) {
  Copy copy("qwen3_next");
  if (copy.source.empty()) GTEST_SKIP() << "no test asset qwen3_next";
  const std::vector<std::int32_t> ids = {5, 17, 91, 3, 44};
  const auto want = last_logits(
      *load_model(copy.source, {.precision = Precision::kExact})->model, ids);
  std::map<std::string, mx::array> original;
  for (const auto& [name, x] : copy.tensors) {
    const auto at = name.find("switch_mlp.");
    if (at != std::string::npos) {
      for (int e = 0; e < x.shape(0); ++e) {
        const std::string expert = name.substr(0, at) + "experts." +
                                   std::to_string(e) + "." +
                                   name.substr(at + 11);
        original.emplace(expert, mx::take(x, e, 0));
      }
    } else if (name.ends_with("conv1d.weight")) {
      original.emplace(name, mx::swapaxes(x, 1, 2));
    } else if (x.ndim() == 1 && name.ends_with("norm.weight") &&
               name.find("linear_attn") == std::string::npos) {
      original.emplace(name, mx::subtract(x, mx::array(1.0f)));
    } else {
      original.emplace(name, name.ends_with("layernorm.weight")
                                 ? mx::subtract(x, mx::array(1.0f))
                                 : x);
    }
  }
  original.emplace("mtp.fc.weight", mx::zeros({3, 3}));
  copy.tensors = original;
  const auto loaded = copy.load(dump_json(copy.config));
  EXPECT_LE(test::worst(last_logits(*loaded->model, ids), want), 2e-4);
}

TEST(LoadModel, InfinityInAConfigIsNoLimit) {
  Copy copy("mamba2");
  if (copy.source.empty()) GTEST_SKIP() << "no test asset mamba2";
  const std::vector<std::int32_t> ids = {5, 17, 91, 3, 44};
  const auto want = last_logits(
      *load_model(copy.source, {.precision = Precision::kExact})->model, ids);
  copy.config["time_step_limit"] = Json::array({0.01, "LIMIT"});
  copy.config["note"] = "no \"Infinity\" \\";
  std::string text = dump_json(copy.config);
  text.replace(text.find("\"LIMIT\""), 7, "Infinity");
  const auto loaded = copy.load(text);
  EXPECT_EQ(loaded->config.text("note"), "no \"Infinity\" \\");
  EXPECT_EQ(last_logits(*loaded->model, ids), want) << "no step reaches it";
  copy.config["time_step_limit"] = Json::array({0.01, 0.02});
  EXPECT_NE(last_logits(*copy.load(dump_json(copy.config))->model, ids), want);
  for (const Json& bad : {Json(3), Json::array({1}), Json::array({"x", 1}),
                          Json::array({-1, 1})}) {
    copy.config["time_step_limit"] = bad;
    SKUA_EXPECT_ERROR(copy.load(dump_json(copy.config)), InvalidInput,
                      "time_step_limit");
  }
}

TEST(LoadModel, SizesOfStatesThatDoNotFitAreRefused) {
  const auto refuses = [](const char* name, const char* key, const Json& value,
                          const char* text) {
    Copy copy(name);
    if (copy.source.empty()) GTEST_SKIP() << "no test asset " << name;
    copy.config[key] = value;
    SKUA_EXPECT_ERROR(copy.load(dump_json(copy.config)), InvalidInput, text);
  };
  const int much = 1 << 30;
  refuses("lfm2", "full_attn_idxs", {1, 4}, "full_attn_idxs holds 4");
  refuses("lfm2", "full_attn_idxs", {-1}, "full_attn_idxs holds -1");
  refuses("lfm2", "full_attn_idxs", 3, "full_attn_idxs");
  refuses("lfm2", "full_attn_idxs", nullptr, "layer_types");
  refuses("lfm2", "block_ffn_dim_multiplier", 1e300, "expected 1 to 2^30");
  refuses("lfm2", "block_ffn_dim_multiplier", -1, "expected 1 to 2^30");
  refuses("lfm2", "conv_L_cache", 4, "expected [48, 4, 1]");
  refuses("lfm2", "conv_L_cache", much, "conv.conv");
  refuses("mamba2", "state_size", much, "too wide");
  refuses("mamba2", "num_heads", much, "too wide");
  refuses("mamba2", "n_groups", 3, "a multiple of n_groups 3");
  refuses("mamba2", "num_hidden_layers", much, "at most 10000");
  refuses("lfm2", "num_hidden_layers", much, "at most 10000");
  refuses("qwen3_next", "linear_value_head_dim", much, "2^28");
  refuses("qwen3_next", "linear_num_value_heads", 5, "a multiple of");
  refuses("qwen3_next", "num_experts_per_tok", 6, "num_experts_per_tok is 6");
  refuses("qwen3_next", "num_experts", much, "at most 65536");
  refuses("qwen3_next", "mlp_only_layers", {4}, "mlp_only_layers holds 4");
  refuses("qwen3_next", "mlp_only_layers", 4, "mlp_only_layers");
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
                    "gemma3_text, lfm2, llama, mamba2, mimo, mistral, qwen2, "
                    "qwen3, qwen3_next");
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
