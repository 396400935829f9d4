#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "models/load.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/models/tiny_gguf.h"

namespace skua {
namespace {

using test::GgufWriter;
using test::numbers;
using test::tiny_gguf;

std::unique_ptr<CausalLM> build(Checkpoint checkpoint) {
  const Config& config = checkpoint.config;
  auto model = find_architecture(config.text("model_type"), config.where())
                   .build(config, checkpoint.weights);
  checkpoint.weights.check_all_taken();
  return model;
}

// Logits of all rows of a prompt.
std::vector<float> logits(const CausalLM& model,
                          const std::vector<std::int32_t>& ids) {
  Cache cache = model.make_cache();
  Batch batch;
  batch.add(cache.add_sequence(), 0, static_cast<int>(ids.size()));
  for (int i = 0; i < batch.n_rows(); ++i) batch.output_rows.push_back(i);
  return numbers(model.forward(
      mx::array(ids.begin(), {batch.n_rows()}, mx::int32), batch, cache));
}

const std::vector<std::int32_t> kPrompt = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};

// Everything of a written file, for as long as the object lives.
struct Opened {
  explicit Opened(const GgufWriter& writer) {
    writer.write(folder.path() / "tiny.gguf");
    file = std::make_unique<GgufFile>(folder.path() / "tiny.gguf");
  }
  Checkpoint open() const { return open_gguf(*file, mx::float32, {}); }
  Json config() const { return gguf_config(*file).values(); }
  std::vector<float> run() const { return logits(*build(open()), kPrompt); }

  test::TempDir folder;
  std::unique_ptr<GgufFile> file;
};

// The same model as a safetensors checkpoint has it: canonical names, rows
// given, `changes` on top of the plain configuration.
std::vector<float> run_canonical(const std::string& arch, const Json& changes) {
  const Opened source(tiny_gguf(arch));
  Json config = source.config();
  config.update(changes);
  Checkpoint checkpoint = source.open();
  checkpoint.config = Config(config, "config.json");
  return logits(*build(std::move(checkpoint)), kPrompt);
}

void expect_same(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_LE(test::worst(a, b), 1e-5);
}

void expect_other(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_GT(test::worst(a, b), 1e-3);
}

// COMP-18
TEST(GgufCheckpoint, NamesAreTheCanonicalOnes) {
  Opened opened(
      tiny_gguf("qwen2")
          .tensor("blk.0.attn_q.bias", {32}, std::vector<float>(32))
          .tensor("output.weight", {11, 32}, std::vector<float>(11 * 32)));
  Weights w = opened.open().weights;
  for (const char* name :
       {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.v_proj.weight",
        "model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.up_proj.weight",
        "model.layers.0.mlp.down_proj.weight"}) {
    ASSERT_TRUE(w.has(name)) << name;
    w.take(name);
  }
  EXPECT_NO_THROW(w.check_all_taken());
}

// COMP-19: row 2i + h of a head goes to row h d/2 + i; nowhere but in llama.
TEST(GgufCheckpoint, OnlyLlamaFilesHaveTheirQAndKRowsPutBack) {
  const auto columns = [](const mx::array& a) {
    return numbers(mx::slice(a, {0, 0}, {a.shape(0), 1}));
  };
  for (const std::string arch : {"llama", "qwen2", "qwen3", "gemma3"}) {
    Weights w = Opened(tiny_gguf(arch)).open().weights;
    for (const auto& [gguf, canonical, heads] :
         {std::tuple("attn_q", "q_proj", 4), std::tuple("attn_k", "k_proj", 2),
          std::tuple("attn_v", "v_proj", 2)}) {
      const std::string name = std::string("blk.0.") + gguf + ".weight";
      const auto stored = test::random_values(
          heads * 8 * 32,
          static_cast<unsigned>(std::hash<std::string>()(name)));
      const auto got = columns(w.take(std::string("model.layers.0.self_attn.") +
                                      canonical + ".weight"));
      const bool moved = arch == "llama" && std::string(gguf) != "attn_v";
      for (std::size_t row = 0; row < got.size(); ++row) {
        const std::size_t i = row % 8;
        const std::size_t from =
            moved ? row - i + (i < 4 ? 2 * i : 2 * (i - 4) + 1) : row;
        EXPECT_EQ(got[row], stored[from * 32]) << arch << " " << gguf;
      }
    }
  }
}

// COMP-19
TEST(GgufCheckpoint, ABiasOfQIsPutBackLikeItsRows) {
  std::vector<float> bias(32);
  for (std::size_t i = 0; i < 32; ++i) bias[i] = static_cast<float>(i);
  Weights w = Opened(tiny_gguf("llama").tensor("blk.0.attn_q.bias", {32}, bias))
                  .open()
                  .weights;
  const auto got = numbers(w.take("model.layers.0.self_attn.q_proj.bias"));
  EXPECT_EQ((std::vector<float>(got.begin(), got.begin() + 8)),
            (std::vector<float>{0, 2, 4, 6, 1, 3, 5, 7}));
}

TEST(GgufCheckpoint, AHeadOfOddSizeIsRefused) {
  GgufWriter file = tiny_gguf("llama");
  file.integer("llama.attention.key_length", 1);
  EXPECT_THROW(Opened(file).run(), InvalidInput);
  file.integer("llama.attention.key_length", 3)
      .tensor("blk.0.attn_q.weight", {12, 32}, std::vector<float>(12 * 32))
      .tensor("blk.0.attn_k.weight", {6, 32}, std::vector<float>(6 * 32));
  EXPECT_THROW(Opened(file).open(), InvalidInput);
}

TEST(GgufCheckpoint, GemmaNormsAreStoredMinusOne) {
  GgufWriter file = tiny_gguf("gemma3");
  file.tensor("blk.0.post_attention_norm.weight", {32},
              std::vector<float>(32, 3.5f))
      .tensor("blk.0.attn_norm.weight", {32}, std::vector<float>(32, 1.25f));
  Weights w = Opened(file).open().weights;
  const std::string layer = "model.layers.0.";
  EXPECT_EQ(numbers(w.take(layer + "post_attention_layernorm.weight")),
            std::vector<float>(32, 2.5f));
  EXPECT_EQ(numbers(w.take(layer + "input_layernorm.weight")),
            std::vector<float>(32, 0.25f));
  EXPECT_TRUE(w.has(layer + "pre_feedforward_layernorm.weight"));
}

// COMP-21
TEST(GgufCheckpoint, IsTiedUnlessThereIsAnOutput) {
  const GgufWriter tied = tiny_gguf("llama");
  EXPECT_EQ(Opened(tied).config().at("tie_word_embeddings"), true);
  GgufWriter untied = tied;
  const auto head = test::random_values(11 * 32, 77);
  untied.tensor("output.weight", {11, 32}, head);
  EXPECT_EQ(Opened(untied).config().at("tie_word_embeddings"), false);
  expect_other(Opened(tied).run(), Opened(untied).run());
  // The embedding as its own output gives what a tied file gives.
  untied.tensor("output.weight", {11, 32},
                test::random_values(
                    11 * 32, static_cast<unsigned>(std::hash<std::string>()(
                                 "token_embd.weight"))));
  EXPECT_EQ(Opened(tied).run(), Opened(untied).run());
}

// COMP-22
TEST(GgufCheckpoint, LinearScalingIsAppliedOnce) {
  GgufWriter file = tiny_gguf("llama");
  file.text("llama.rope.scaling.type", "linear")
      .number("llama.rope.scaling.factor", 4);
  const auto got = Opened(file).run();
  const auto scaling = [](double factor) {
    return Json{{"rope_scaling", {{"type", "linear"}, {"factor", factor}}}};
  };
  expect_same(got, run_canonical("llama", scaling(4)));
  expect_other(got, run_canonical("llama", scaling(16)));
  expect_other(got, run_canonical("llama", Json::object()));
}

// COMP-22
TEST(GgufCheckpoint, YarnScalingIsAppliedOnceWithTheFilesContext) {
  GgufWriter file = tiny_gguf("qwen2");
  file.text("qwen2.rope.scaling.type", "yarn")
      .number("qwen2.rope.scaling.factor", 4)
      .integer("qwen2.rope.scaling.original_context_length", 16);
  const auto scaling = [](int original) {
    return Json{{"rope_scaling",
                 {{"type", "yarn"},
                  {"factor", 4},
                  {"original_max_position_embeddings", original}}}};
  };
  expect_same(Opened(file).run(), run_canonical("qwen2", scaling(16)));
  expect_other(Opened(file).run(), run_canonical("qwen2", scaling(4096)));
  // Without the key it is the context that the file names, 64.
  file.remove("qwen2.rope.scaling.original_context_length");
  expect_same(Opened(file).run(), run_canonical("qwen2", scaling(64)));
}

// COMP-22: rope_freqs.weight is the llama3 scaling, worked out by converters.
TEST(GgufCheckpoint, RopeFactorsWinOverScalingInTheMetadata) {
  const std::vector<float> factors = {1, 2, 5, 8};
  GgufWriter file = tiny_gguf("llama");
  file.tensor("rope_freqs.weight", {4}, factors);
  const auto once = Opened(file).run();
  file.text("llama.rope.scaling.type", "linear")
      .number("llama.rope.scaling.factor", 4);
  EXPECT_EQ(Opened(file).run(), once);
  expect_same(
      once, run_canonical(
                "llama", {{"rope_scaling",
                           {{"rope_type", "factors"}, {"factors", factors}}}}));
  expect_other(once, run_canonical("llama", Json::object()));
}

TEST(GgufCheckpoint, RopeFactorsOfAnotherCountAreNamed) {
  GgufWriter file = tiny_gguf("llama");
  file.tensor("rope_freqs.weight", {3}, {1, 2, 3});
  SKUA_EXPECT_ERROR(Opened(file).run(), InvalidInput,
                    "factors is expected to be 4 positive numbers");
}

// COMP-18
TEST(GgufCheckpoint, AnUnknownTensorIsNamed) {
  for (const char* name : {"blk.0.attn_sinks.weight", "strange", "blk.0",
                           "blk.x", "blk.0.attn_q_norm_2.weight"}) {
    GgufWriter file = tiny_gguf("llama");
    file.tensor(name, {32}, std::vector<float>(32));
    SKUA_EXPECT_ERROR(Opened(file).open(), Unsupported,
                      std::string("tensor ") + name + " is not part of llama");
  }
  // Known names in a place where the model has none.
  for (const char* name :
       {"blk.1.attn_q.weight", "attn_q.weight", "blk.0.output.weight"}) {
    GgufWriter file = tiny_gguf("qwen2");
    file.tensor(name, {32, 32}, std::vector<float>(32 * 32));
    SKUA_EXPECT_ERROR(Opened(file).run(), InvalidInput,
                      "holds tensors that the model does not use");
  }
}

// COMP-18
TEST(GgufCheckpoint, AMissingOrMisshapenTensorIsNamed) {
  GgufWriter file = tiny_gguf("llama");
  file.remove_tensor("blk.0.ffn_up.weight");
  SKUA_EXPECT_ERROR(Opened(file).run(), InvalidInput,
                    "tensor model.layers.0.mlp.up_proj.weight is missing");
  file.tensor("blk.0.ffn_up.weight", {32, 48}, std::vector<float>(32 * 48));
  SKUA_EXPECT_ERROR(Opened(file).run(), InvalidInput,
                    "model.layers.0.mlp.up_proj.weight] shape is [32, 48], "
                    "expected [48, 32]");
  file = tiny_gguf("llama");
  file.tensor("blk.0.ffn_up.weight", {2, 24, 32}, std::vector<float>(48 * 32));
  SKUA_EXPECT_ERROR(Opened(file).run(), InvalidInput, "3 dimensions");
  file = tiny_gguf("llama");
  file.remove_tensor("token_embd.weight");
  SKUA_EXPECT_ERROR(Opened(file).run(), InvalidInput, "token_embd.weight");
}

TEST(GgufCheckpoint, ABlockEncodedVectorIsTransformedLikeAnyOther) {
  // Q8_0: a half of value 1 (0x3c00), then 32 signed bytes.
  std::string block("\x00\x3c", 2);
  for (int i = 0; i < 32; ++i) block += static_cast<char>(i);
  Weights llama = Opened(tiny_gguf("llama").tensor("blk.0.attn_q.bias", {32},
                                                   GgmlType::kQ8_0, block))
                      .open()
                      .weights;
  const auto bias = numbers(llama.take("model.layers.0.self_attn.q_proj.bias"));
  EXPECT_EQ((std::vector<float>(bias.begin(), bias.begin() + 8)),
            (std::vector<float>{0, 2, 4, 6, 1, 3, 5, 7}));
  Weights gemma = Opened(tiny_gguf("gemma3").tensor("output_norm.weight", {32},
                                                    GgmlType::kQ8_0, block))
                      .open()
                      .weights;
  EXPECT_EQ(numbers(gemma.take("model.norm.weight"))[5], 4);
}

TEST(GgufCheckpoint, MetadataThatIsMissingOrUnknownIsNamed) {
  const auto refused = [](const auto& change, const char* part) {
    GgufWriter file = tiny_gguf("llama");
    change(file);
    SKUA_EXPECT_ERROR(Opened(file).run(), Error, part);
  };
  for (const char* key :
       {"llama.embedding_length", "llama.block_count",
        "llama.feed_forward_length", "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon", "llama.context_length",
        "general.architecture"})
    refused([&](GgufWriter& f) { f.remove(key); }, key);
  refused([](GgufWriter& f) { f.text("general.architecture", "t5"); },
          "is t5, expected one of llama, qwen2, qwen3, gemma3, lfm2");
  refused([](GgufWriter& f) { f.integer("llama.expert_count", 8); },
          "mixture of experts");
  refused([](GgufWriter& f) { f.integer("llama.rope.dimension_count", 4); },
          "dimension_count");
  refused([](GgufWriter& f) { f.text("llama.rope.scaling.type", "longrope"); },
          "expected none, linear or yarn");
  refused([](GgufWriter& f) { f.integer("llama.block_count", 0); },
          "num_hidden_layers");
  refused([](GgufWriter& f) { f.integer("llama.attention.head_count", 5); },
          "multiple");
}

// Metadata of an LFM2 with a convolution and a layer that attends.
GgufWriter lfm2_metadata() {
  GgufWriter file = tiny_gguf("lfm2");
  file.integer("lfm2.block_count", 2)
      .integers("lfm2.attention.head_count_kv", {0, 2})
      .integer("lfm2.shortconv.l_cache", 3);
  return file;
}

TEST(GgufCheckpoint, LayersOfLfm2AreThoseThatItsMetadataTells) {
  const Json config = Opened(lfm2_metadata()).config();
  EXPECT_EQ(config["full_attn_idxs"], Json({1}));
  EXPECT_EQ(config["num_key_value_heads"], 2);
  EXPECT_EQ(config["conv_L_cache"], 3);
  const auto refused = [](const auto& change, const char* part) {
    GgufWriter file = lfm2_metadata();
    change(file);
    SKUA_EXPECT_ERROR(Opened(file).config(), Error, part);
  };
  const char* heads = "lfm2.attention.head_count_kv";
  refused([&](GgufWriter& f) { f.integers(heads, {0, 2, 0}); },
          "has 3 numbers, expected one for each of 2 layers");
  refused([&](GgufWriter& f) { f.integers(heads, {1, 2}); },
          "holds 1 and 2, expected one number and zeros");
  refused([&](GgufWriter& f) { f.integer(heads, 2); }, heads);
  refused([](GgufWriter& f) { f.remove("lfm2.shortconv.l_cache"); },
          "lfm2.shortconv.l_cache");
  refused([](GgufWriter& f) { f.integer("lfm2.attention.sliding_window", 4); },
          "sliding_window");
}

}  // namespace
}  // namespace skua
