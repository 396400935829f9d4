// Heads for multi-token prediction: hidden, counted, loaded.
#include "models/mtp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "models/load.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/models/tiny_gguf.h"
#include "tests/unit/models/tiny_mimo.h"

namespace skua {
namespace {

using test::numbers;
using test::Row;
using test::TinyCheckpoint;
using Ids = std::vector<std::int32_t>;

std::shared_ptr<const LoadedModel> load(const TinyCheckpoint& checkpoint,
                                        bool mtp) {
  const test::TempDir folder;
  checkpoint.write(folder.path());
  return load_model(folder.path(),
                    {.precision = Precision::kExact, .mtp = mtp});
}

Batch batch_of(Cache& cache, int n, bool all_rows) {
  Batch batch;
  batch.add(cache.add_sequence(), 0, n);
  if (!all_rows) batch.want_last();
  for (int i = 0; all_rows && i < n; ++i) batch.output_rows.push_back(i);
  return batch;
}

mx::array array_of(const Ids& ids) {
  return mx::array(ids.begin(), {static_cast<int>(ids.size())}, mx::int32);
}

std::vector<float> last_logits(const CausalLM& model, const Ids& ids) {
  Cache cache = model.make_cache();
  const Batch batch = batch_of(cache, static_cast<int>(ids.size()), false);
  return numbers(model.forward(array_of(ids), batch, cache));
}

class MimoHead : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::asset("goldens/lm/mimo");
    if (folder_.empty()) GTEST_SKIP() << "no test asset goldens/lm/mimo";
    checkpoint_ = test::tiny_mimo(folder_);
    expected_ = read_json(folder_ / "expected.json");
    prompt_ = expected_["prompt"].get<Ids>();
  }

  std::filesystem::path folder_;
  TinyCheckpoint checkpoint_;
  Json expected_;
  Ids prompt_;
};

// COMP-25: a head's rows at every position, read at once and in pieces.
TEST_F(MimoHead, LogitsAndHiddenStatesAreThoseOfTheFormulas) {
  const auto loaded = load(checkpoint_, true);
  const MtpHead& head = *loaded->model->mtp();
  constexpr int kRows = 23;
  ASSERT_EQ(head.dim(), 48);
  const mx::array hidden = test::normal({kRows, head.dim()}, 5, 2);
  const std::vector<float> hidden_rows = numbers(hidden);
  test::MimoReference reference(checkpoint_);
  std::vector<float> want_logits, want_hidden;
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto row = hidden_rows.begin() + static_cast<std::ptrdiff_t>(48 * i);
    const Row made = reference.append({row, row + 48}, prompt_[i]);
    const Row logits = reference.logits(made);
    want_hidden.insert(want_hidden.end(), made.begin(), made.end());
    want_logits.insert(want_logits.end(), logits.begin(), logits.end());
  }
  EXPECT_GT(*std::ranges::max_element(want_logits), 3) << "it says something";
  for (const int piece : {kRows, 1, 9}) {
    SCOPED_TRACE(piece);
    Cache cache = head.make_cache();
    const int sequence = cache.add_sequence();
    std::vector<float> logits, made;
    for (int at = 0; at < kRows; at += piece) {
      const int n = std::min(piece, kRows - at);
      Batch batch;
      batch.add(sequence, at, n);
      for (int i = 0; i < n; ++i) batch.output_rows.push_back(i);
      const MtpHead::Step step = head.forward(
          array_of({prompt_.begin() + at, prompt_.begin() + at + n}),
          mx::slice(hidden, {at, 0}, {at + n, head.dim()}), batch, cache);
      std::ranges::copy(numbers(step.logits), std::back_inserter(logits));
      std::ranges::copy(numbers(step.hidden), std::back_inserter(made));
    }
    EXPECT_LE(test::worst(logits, want_logits), 1e-4);
    EXPECT_LE(test::worst(made, want_hidden), 1e-4);
    EXPECT_EQ(cache.length(sequence), kRows);
  }
}

// The head's product with them gives the reference's logits at each place.
TEST_F(MimoHead, HiddenStatesOfTheModelAreThoseAfterTheFinalNorm) {
  const auto loaded = load(checkpoint_, true);
  const CausalLM& model = *loaded->model;
  const auto n = static_cast<int>(prompt_.size());
  Cache cache = model.make_cache();
  const Batch batch = batch_of(cache, n, false);
  const CausalLM::Step step =
      model.forward_with_hidden(array_of(prompt_), batch, cache);
  EXPECT_EQ(step.hidden.shape(), (mx::Shape{n, 48}));
  EXPECT_EQ(numbers(step.logits), last_logits(model, prompt_));
  const std::vector<float> hidden = numbers(step.hidden);
  Json wanted = expected_["logits_at"];
  wanted[std::to_string(n - 1)] = expected_["logits_last"];
  ASSERT_GE(wanted.size(), 2u);
  for (const auto& [at, want] : wanted.items()) {
    const auto row =
        hidden.begin() + static_cast<std::ptrdiff_t>(48 * std::stoul(at));
    const Row got = test::product(checkpoint_, "lm_head", {row, row + 48});
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], want[i].get<double>(), 1e-4) << at << " " << i;
  }
}

TEST_F(MimoHead, IsBuiltOnlyWhereAskedFor) {
  const auto plain = load(checkpoint_, false);
  EXPECT_EQ(plain->model->mtp(), nullptr);
  EXPECT_EQ(plain->audit.hidden.size(), 16u);
  for (const auto& name : plain->audit.hidden)
    EXPECT_TRUE(name.starts_with(test::kMimoHead)) << name;
  const auto with_head = load(checkpoint_, true);
  EXPECT_NE(with_head->model->mtp(), nullptr);
  EXPECT_THAT(with_head->audit.hidden, testing::IsEmpty());
  EXPECT_EQ(with_head->audit.used.size(), plain->audit.used.size() + 16);
  EXPECT_EQ(last_logits(*plain->model, prompt_),
            last_logits(*with_head->model, prompt_));
  // Further layers are not run.
  checkpoint_.add("model.mtp_layers.1.input_proj.weight", {48, 96}, 0, 1);
  EXPECT_THAT(load(checkpoint_, true)->audit.hidden,
              testing::ElementsAre("model.mtp_layers.1.input_proj.weight"));
}

// COMP-18, COMP-25
TEST_F(MimoHead, ADamagedTensorIsNamedWhereItIsRead) {
  const std::string name = test::kMimoHead + "input_proj.weight";
  checkpoint_.add(name, {48, 95}, 0, 1);
  EXPECT_NO_THROW(load(checkpoint_, false));
  SKUA_EXPECT_ERROR(load(checkpoint_, true), InvalidInput,
                    "mtp_layers.0.input_proj");
  checkpoint_.tensors.erase(name);
  EXPECT_NO_THROW(load(checkpoint_, false));
  SKUA_EXPECT_ERROR(load(checkpoint_, true), InvalidInput,
                    name + " is missing");
}

TEST_F(MimoHead, AModelWithoutHeadsIsRefused) {
  SKUA_EXPECT_ERROR(load_model(folder_, {.mtp = true}), InvalidInput,
                    "mimo has no heads for multi-token prediction");
  SKUA_ASSET_OR_SKIP(stories, "lm/stories260K");
  SKUA_EXPECT_ERROR(load_model(stories / "hf", {.mtp = true}), InvalidInput,
                    "llama has no heads");
  SKUA_EXPECT_ERROR(
      load_model(stories / "stories260K-v3-q8_0.gguf", {.mtp = true}),
      InvalidInput, "llama has no heads");
}

TEST_F(MimoHead, RowsThatDoNotFitAreRefused) {
  const auto loaded = load(checkpoint_, true);
  const MtpHead& head = *loaded->model->mtp();
  Cache cache = head.make_cache();
  const Batch batch = batch_of(cache, 2, true);
  for (const mx::Shape& bad : {mx::Shape{1, 48}, mx::Shape{2, 47}}) {
    SKUA_EXPECT_ERROR(
        head.forward(array_of({1, 2}), mx::zeros(bad), batch, cache),
        InvalidInput, "expected [2, 48]");
  }
  SKUA_EXPECT_ERROR(
      head.forward(array_of({1}), mx::zeros({1, 48}), batch, cache),
      InvalidInput, "ids are [1], expected [2]");
  EXPECT_EQ(cache.length(batch.segments[0].sequence), 0);
  SKUA_ASSET_OR_SKIP(gemma, "goldens/lm/gemma3_text");
  const auto other = load_model(gemma);
  Cache of_other = other->model->make_cache();
  SKUA_EXPECT_ERROR(other->model->forward_with_hidden(
                        array_of({1}), batch_of(of_other, 1, true), of_other),
                    Unsupported, "hidden states");
}

class HiddenHeads : public testing::TestWithParam<const char*> {};

// COMP-25: whatever the architecture, by name and by layer.
TEST_P(HiddenHeads, AreCountedAndChangeNothing) {
  const auto folder = test::asset(std::string("goldens/lm/") + GetParam());
  if (folder.empty()) GTEST_SKIP() << "no test asset goldens/lm";
  TinyCheckpoint c = TinyCheckpoint::read(folder);
  const Json expected = read_json(folder / "expected.json");
  const bool nested = c.config.contains("text_config");
  Json& text = nested ? c.config["text_config"] : c.config;
  const std::string prefix = nested ? "language_model." : "";
  const int n_layers = text.at("num_hidden_layers").get<int>();
  const auto layer = [&](int i) {
    return prefix + "model.layers." + std::to_string(n_layers + i) + ".";
  };
  const std::vector<std::string> names = {
      layer(0) + "eh_proj.weight", layer(1) + "self_attn.q_proj.weight",
      "model.mtp_block.0.mlp.up_proj.weight", "mtp.fc.weight"};
  for (const std::string& name : names) c.add(name, {3, 3}, 0, 1);
  text["num_nextn_predict_layers"] = 2;
  const auto loaded = load(c, false);
  EXPECT_THAT(loaded->audit.hidden, testing::IsSupersetOf(names));
  const auto logits =
      last_logits(*loaded->model, expected["prompt"].get<Ids>());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    ASSERT_NEAR(logits[i], expected["logits_last"][i].get<double>(),
                expected["tolerance"].get<double>());
  }
  // Layers beyond those that the config says are nobody's.
  text["num_nextn_predict_layers"] = 1;
  SKUA_EXPECT_ERROR(load(c, false), InvalidInput, names[1]);
  text.erase("num_nextn_predict_layers");
  SKUA_EXPECT_ERROR(load(c, false), InvalidInput, names[0]);
}

INSTANTIATE_TEST_SUITE_P(Architectures, HiddenHeads,
                         testing::Values("gemma3", "gemma3_text", "llama",
                                         "mimo", "mistral", "qwen2", "qwen3"));

TEST(MtpTensors, AreToldByTheirNames) {
  const Config config(
      Json{{"num_hidden_layers", 4}, {"num_nextn_predict_layers", 1}},
      "config.json");
  const auto is_mtp = mtp_tensors(config);
  for (const char* name :
       {"model.layers.4.enorm.weight", "language_model.model.layers.4.a",
        "mtp.norm.weight", "model.mtp.layers.0.a", "model.mtp_layers.0.a"}) {
    EXPECT_TRUE(is_mtp(name)) << name;
  }
  for (const char* name :
       {"model.layers.3.a", "model.layers.5.a", "model.layers.4",
        "model.layers.x.a", "model.layers.99999999999999999999.a",
        "vision_tower.model.layers.4.a", "model.smtp.a", "mtp", "", "."}) {
    EXPECT_FALSE(is_mtp(name)) << name;
  }
  SKUA_EXPECT_ERROR(mtp_tensors(config.with("num_nextn_predict_layers", "one")),
                    InvalidInput, "num_nextn_predict_layers");
}

class GgufHeads : public testing::TestWithParam<const char*> {
 protected:
  test::GgufWriter plain() const {
    test::GgufWriter file = test::tiny_gguf(GetParam());
    if (GetParam() != std::string("gemma3")) return file;
    for (const char* norm : {"post_attention_norm", "post_ffw_norm"}) {
      file.tensor("blk.0." + std::string(norm) + ".weight", {32},
                  std::vector<float>(32, 1.5f));
    }
    return file;
  }
  // With one block more than it uses, which has heads and a block's own.
  test::GgufWriter with_head() const {
    const std::string arch = GetParam();
    return plain()
        .integer(arch + ".block_count", 2)
        .integer(arch + ".nextn_predict_layers", 1)
        .tensor("blk.1.nextn.eh_proj.weight", {3}, {1, 2, 3})
        .tensor("blk.1.attn_norm.weight", {3}, {1, 2, 3});
  }
  Checkpoint open(const test::GgufWriter& writer) {
    const auto path = folder_.path() / std::to_string(n_files_++);
    writer.write(path);
    return open_gguf(GgufFile(path), mx::float32, {});
  }
  static std::vector<float> run(Checkpoint& checkpoint) {
    const Config& config = checkpoint.config;
    const auto model = find_architecture(config.text("model_type"), "")
                           .build(config, checkpoint.weights);
    checkpoint.weights.check_all_taken();
    return last_logits(*model, {3, 1, 4, 1, 5});
  }

  test::TempDir folder_;
  int n_files_ = 0;
};

// COMP-25
TEST_P(GgufHeads, AreHiddenByTheNumberOfTheirBlock) {
  const std::string arch = GetParam();
  Checkpoint base = open(plain());
  Checkpoint opened = open(with_head());
  EXPECT_EQ(opened.config.size("num_hidden_layers"), 1);
  EXPECT_EQ(opened.config.size("num_nextn_predict_layers"), 1);
  EXPECT_EQ(run(opened), run(base));
  EXPECT_THAT(opened.weights.audit().hidden,
              testing::ElementsAre("blk.1.nextn.eh_proj.weight",
                                   "blk.1.attn_norm.weight"));
  SKUA_EXPECT_ERROR(
      open(with_head().integer(arch + ".nextn_predict_layers", 0)), Unsupported,
      "blk.1.nextn.eh_proj.weight");
  for (const std::uint32_t bad : {2u, 0xffffffffu}) {
    SKUA_EXPECT_ERROR(
        open(with_head().integer(arch + ".nextn_predict_layers", bad)),
        InvalidInput, "nextn_predict_layers");
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, GgufHeads,
                         testing::Values("gemma3", "llama", "qwen2", "qwen3"));

}  // namespace
}  // namespace skua
