#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <string>
#include <tuple>

#include "models/load.h"
#include "tests/unit/generate/stories.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

constexpr const char* kStory =
    "Once upon a time, there was a little girl named Lily. She loved to play "
    "outside in the park with her friends. One day, she saw a big red ball "
    "under a tree. She wanted to play with it, but it was too high. Her mom "
    "said, \"Lily, be careful! The tree is very old.\" Lily did not listen. "
    "She climbed up the tree and took the ball. Then she heard a loud noise. "
    "It was a cat! The cat was stuck and very sad. Lily helped the cat to "
    "come down. The cat was happy and said thank you. Lily and the cat "
    "played with the ball all day. When the sun went down, they went home "
    "and had a big cake. From that day on, they were best friends. ";

// log-softmax of each row, [T, V].
std::vector<std::vector<double>> log_probabilities(
    const LoadedModel& loaded, const std::vector<std::int32_t>& ids,
    const CacheOptions& options) {
  Cache cache = loaded.model->make_cache(options);
  const int sequence = cache.add_sequence();
  std::vector<std::vector<double>> rows;
  // Steps, so that later ones see what was rounded.
  for (std::size_t at = 0; at < ids.size(); at += 16) {
    const auto n = static_cast<int>(std::min<std::size_t>(16, ids.size() - at));
    Batch batch;
    batch.add(sequence, static_cast<int>(at), n);
    for (int i = 0; i < n; ++i) batch.output_rows.push_back(i);
    const auto logits = test::numbers(loaded.model->forward(
        mx::array(ids.begin() + static_cast<std::ptrdiff_t>(at), {n},
                  mx::int32),
        batch, cache));
    const std::size_t size = logits.size() / static_cast<std::size_t>(n);
    for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
      const float* x = &logits[r * size];
      const double max = *std::max_element(x, x + size);
      double sum = 0;
      for (std::size_t i = 0; i < size; ++i) sum += std::exp(x[i] - max);
      rows.emplace_back();
      for (std::size_t i = 0; i < size; ++i)
        rows.back().push_back(x[i] - max - std::log(sum));
    }
  }
  return rows;
}

/** Mean Kullback-Leibler divergence from a cache of float32. */
class Drift {
 public:
  Drift(const LoadedModel& loaded, const std::string& text)
      : loaded_(&loaded),
        ids_(loaded.need_tokenizer().encode(text)),
        want_(log_probabilities(loaded, ids_, {})) {}

  std::size_t n_tokens() const { return ids_.size(); }
  /** Over the rows from `from` on; those before must be the same. */
  double operator()(const CacheOptions& options, std::size_t from = 0) const {
    const auto got = log_probabilities(*loaded_, ids_, options);
    double total = 0;
    for (std::size_t t = 0; t < want_.size(); ++t) {
      for (std::size_t i = 0; i < want_[t].size(); ++i)
        total += std::exp(want_[t][i]) * (want_[t][i] - got[t][i]);
      if (t < from) {
        EXPECT_EQ(got[t], want_[t]) << t;
      }
    }
    return total / static_cast<double>(want_.size() - from);
  }

 private:
  const LoadedModel* loaded_;
  std::vector<std::int32_t> ids_;
  std::vector<std::vector<double>> want_;
};

// GEN-73: 260 thousand weights in heads of 8 numbers forgive little.
TEST(QuantizedCache, DriftsLittleFromFloat32) {
  const auto folder = test::stories_folder();
  if (!folder) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto loaded = load_model(folder->path());
  const Drift drift(*loaded, std::string(kStory) + kStory);
  ASSERT_GT(drift.n_tokens(), 400u);
  for (const auto& [type, least, most] :
       {std::tuple(KvType::kInt8, 0.0, 0.01), {KvType::kInt4, 0.02, 0.3}}) {
    SCOPED_TRACE(type == KvType::kInt8 ? "int8" : "int4");
    const double all = drift({.quantize_from = 0, .quantized_type = type});
    EXPECT_LT(all, most);
    EXPECT_GT(all, least) << "it rounds";
    EXPECT_EQ(drift({.kv_type = type}), all);
    const double late =
        drift({.quantize_from = 256, .quantized_type = type}, 256);
    EXPECT_LT(late, most);
    EXPECT_GT(late, least);
  }
}

// GEN-73: 0.0007 and 0.05 were measured.
TEST(QuantizedCache, OfARealModelDriftsLittle) {
  const auto file = test::cached_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (file.empty()) GTEST_SKIP() << "no model; tools/get_model.py gets it";
  const auto loaded = load_model(file);
  const Drift drift(*loaded, kStory);
  EXPECT_LT(drift({.kv_type = KvType::kInt8}), 0.002);
  EXPECT_LT(drift({.kv_type = KvType::kInt4}), 0.1);
}

}  // namespace
}  // namespace skua
