#include "generate/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <set>

#include "base/cpu_level.h"
#include "skua/error.h"
#include "tests/support.h"

namespace skua {
namespace {

using testing::ElementsAre;

std::shared_ptr<const LoadedModel> load(const std::string& name,
                                        const LoadOptions& options = {}) {
  const auto folder = test::asset("goldens/lm/" + name);
  return folder.empty() ? nullptr : load_model(folder, options);
}

#define SKUA_LOAD_OR_SKIP(variable, name) \
  const auto variable = load(name);       \
  if (!variable) GTEST_SKIP() << "no test asset goldens/lm/" << (name)

Explanation::Matrices find(const Explanation& e, const std::string& name) {
  for (const auto& m : e.matrices)
    if (m.name == name) return m;
  throw NotFound("test", name);
}

// COMP-15
TEST(Explain, AStepReadsAllWeightsButAnEmbeddingThatIsNoHead) {
  SKUA_LOAD_OR_SKIP(untied, "llama");
  const std::size_t vocab = 101, dim = 48;
  EXPECT_EQ(explain(*untied, 100, {.kv_type = KvType::kF32}).weight_bytes,
            untied->info.n_bytes - (vocab - 1) * dim * sizeof(float));
  SKUA_LOAD_OR_SKIP(tied, "llama_tied");
  EXPECT_EQ(explain(*tied, 100, {.kv_type = KvType::kF32}).weight_bytes,
            tied->info.n_bytes);
}

// COMP-15
TEST(Explain, TheCacheIsWhatAPromptOfThatLengthTakes) {
  SKUA_LOAD_OR_SKIP(loaded, "llama_sliding");
  const CausalLM& model = *loaded->model;
  const CacheOptions all[] = {
      {.kv_type = KvType::kF32},
      {.kv_type = KvType::kBf16},
      {.kv_type = KvType::kInt8},
      {.kv_type = KvType::kInt4},
      {.kv_type = KvType::kF32,
       .quantize_from = 200,
       .quantized_type = KvType::kInt4},
      {.kv_type = KvType::kF32, .max_size = 100},
      {.kv_type = KvType::kF16, .max_size = 300, .keep = 260},
      {.kv_type = KvType::kF32, .quantize_from = 200},
      {.kv_type = KvType::kF16, .max_size = 90, .quantize_from = 256}};
  for (const CacheOptions& options : all) {
    for (const int n : {1, 256, 257, 600, 900}) {
      Cache cache = model.make_cache(options);
      const int sequence = cache.add_sequence();
      for (int at = 0; at < n; at += 288) {
        const int rows = std::min(288, n - at);
        Batch batch;
        batch.add(sequence, at, rows);
        batch.want_last();
        const std::vector<std::int32_t> ids(static_cast<std::size_t>(rows), 1);
        model.forward(mx::array(ids.begin(), {rows}, mx::int32), batch, cache)
            .eval();
      }
      EXPECT_EQ(explain(*loaded, n, options).cache_bytes, cache.n_bytes()) << n;
    }
  }
  const Explanation e = explain(*loaded, 600, {.kv_type = KvType::kBf16});
  ASSERT_EQ(e.cache.size(), 2u);
  EXPECT_EQ(e.cache[0].window, 7);
  EXPECT_EQ(e.cache[0].n, 2);
  EXPECT_EQ(e.cache[1].window, 0);
  EXPECT_EQ(e.cache[1].n, 1);
  // Keys and values of 16 bits: 2 heads of 8, values padded to 16.
  EXPECT_EQ(e.cache[1].read_bytes, 600u * 2 * 2 * (8 + 16));
  EXPECT_EQ(e.cache[0].read_bytes, 7u * 2 * 2 * (8 + 16));

  const std::size_t plain = 2 * 2 * (8 + 16);
  const auto last = [&](const CacheOptions& options) {
    return explain(*loaded, 600, options).cache.back();
  };
  const auto int8 = last({.kv_type = KvType::kInt8});
  EXPECT_EQ(int8.read_bytes % 600, 0u);
  EXPECT_LT(int8.read_bytes / 600, plain);
  const auto later =
      last({.kv_type = KvType::kBf16, .quantize_from = 200}).read_bytes;
  EXPECT_EQ(later, 256 * plain + 344 * (int8.read_bytes / 600));
  // Half a byte, and a scale and a bias for keys and for values of a head.
  const std::size_t int4 = 2 * ((8 + 16) / 2 + 2 * 2 * 4);
  EXPECT_EQ(last({.kv_type = KvType::kInt4}).read_bytes, 600 * int4);
  EXPECT_EQ(last({.kv_type = KvType::kBf16,
                  .quantize_from = 200,
                  .quantized_type = KvType::kInt4})
                .read_bytes,
            256 * plain + 344 * int4);
  const auto bounded =
      last({.kv_type = KvType::kBf16, .max_size = 50, .keep = 6});
  EXPECT_EQ(bounded.window, 44);
  EXPECT_EQ(bounded.keep, 6);
  EXPECT_EQ(bounded.read_bytes, 50 * plain);
  EXPECT_EQ(e.kv_bytes, e.cache[1].read_bytes + 2 * e.cache[0].read_bytes);
}

// COMP-15
TEST(Explain, KernelsAreThoseOfTheFormatAndPhase) {
  SKUA_LOAD_OR_SKIP(dense, "llama_bf16");
  const auto& up = find(explain(*dense, 10, {.kv_type = KvType::kF32}),
                        "model.layers.*.mlp.up_proj");
  EXPECT_EQ(up.n, dense->model->n_layers());
  EXPECT_EQ(up.format, "bfloat16");
  EXPECT_EQ(up.decode_kernel, "dense rows");
  const bool rounds = cpu_features().amx_bf16;
  EXPECT_EQ(up.prefill_kernel, rounds ? "AMX bf16 tiles" : "dense panel");

  const auto of = [](const char* name, Precision precision) {
    const auto loaded = load(name, {.precision = precision});
    const auto m = find(explain(*loaded, 10, {.kv_type = KvType::kF32}),
                        "model.layers.*.mlp.up_proj");
    return std::vector<std::string>{m.format, m.decode_kernel,
                                    m.prefill_kernel};
  };
  const char* decoded = "float32 rows, decoded";
  const std::string q4 = "affine, 4 bits in groups of 32";
  EXPECT_THAT(of("llama_q4g32", Precision::kExact),
              ElementsAre(q4, decoded, decoded));
  EXPECT_THAT(of("llama_mxfp8", Precision::kDefault),
              ElementsAre("mxfp8", decoded, decoded));
  if (cpu_level() == CpuLevel::kScalar) return;
  const bool tiles = cpu_features().amx_int8;
  const char* many = tiles ? "AMX int16 tiles" : "int16 panel";
  EXPECT_THAT(of("llama_q4g32", Precision::kDeterministic),
              ElementsAre(q4, "int16 rows", many));
  if (rounds) many = "AMX bf16 tiles";
  EXPECT_THAT(of("llama_q4g32", Precision::kDefault),
              ElementsAre(q4, "int16 rows", many));
  if (!tiles) {
    EXPECT_THAT(of("llama_q4g32", Precision::kFast),
                ElementsAre(q4, "int16 rows", "int8 panel"));
  }
}

// COMP-15
TEST(Explain, ADecodeStepIsMadeOfJoinedNodes) {
  SKUA_LOAD_OR_SKIP(loaded, "llama");
  const Explanation e = explain(*loaded, 10, {.kv_type = KvType::kF32});
  const std::map<std::string, int> want = {
      {"append_and_attend", 3}, {"embedding", 1},
      {"gated_mlp", 3},         {"linear", 4},
      {"project_heads", 3},     {"rms_norm", 1}};
  EXPECT_EQ(e.decode_nodes.ours, want);
}

// COMP-15
TEST(Explain, TheAuditNamesWhatIsUsedHiddenAndLeftOver) {
  SKUA_LOAD_OR_SKIP(vision, "gemma3");
  for (const std::string& name : vision->audit.hidden) {
    EXPECT_TRUE(name.starts_with("vision_tower.") ||
                name.starts_with("multi_modal_projector."))
        << name;
  }
  SKUA_LOAD_OR_SKIP(plain, "llama");
  std::size_t n_bytes = 0;
  std::set<std::string> names;
  for (const auto& tensor : plain->audit.used) {
    n_bytes += tensor.n_bytes;
    names.insert(tensor.name);
  }
  EXPECT_EQ(n_bytes, plain->info.n_bytes);
  EXPECT_EQ(names.size(), plain->audit.used.size());
  EXPECT_TRUE(names.contains("model.layers.2.mlp.down_proj.weight"));
  EXPECT_TRUE(plain->audit.unused.empty());

  // One layer less in the configuration leaves the last one over.
  const test::TempDir folder;
  const auto source = test::asset("goldens/lm/llama");
  Json config = read_json(source / "config.json");
  config["num_hidden_layers"] = 2;
  test::write_text(folder.path() / "config.json", config.dump());
  std::filesystem::create_symlink(
      std::filesystem::absolute(source / "model.safetensors"),
      folder.path() / "model.safetensors");
  EXPECT_THROW(load_model(folder.path()), InvalidInput);
  const auto smaller = load_model(folder.path(), {.allow_unused = true});
  EXPECT_FALSE(smaller->audit.unused.empty());
  for (const std::string& name : smaller->audit.unused)
    EXPECT_TRUE(name.starts_with("model.layers.2.")) << name;
  EXPECT_EQ(smaller->audit.unused.size() + smaller->audit.used.size(),
            plain->audit.used.size());
}

TEST(Explain, AContextOutOfRangeIsRefused) {
  SKUA_LOAD_OR_SKIP(loaded, "llama");
  for (const int n : {0, -1, (1 << 20) + 1})
    EXPECT_THROW(explain(*loaded, n, {.kv_type = KvType::kF32}), InvalidInput);
}

}  // namespace
}  // namespace skua
