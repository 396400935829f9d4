#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <string>

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

// GEN-73
TEST(QuantizedCache, DriftsLittleFromFloat32) {
  const auto folder = test::stories_folder();
  if (!folder) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  const auto loaded = load_model(folder->path());
  auto ids = loaded->need_tokenizer().encode(std::string(kStory) + kStory);
  ASSERT_GT(ids.size(), 400u);
  const auto want = log_probabilities(*loaded, ids, {});
  const auto drift = [&](const CacheOptions& options, std::size_t from) {
    const auto got = log_probabilities(*loaded, ids, options);
    double total = 0;
    for (std::size_t t = 0; t < want.size(); ++t) {
      for (std::size_t i = 0; i < want[t].size(); ++i)
        total += std::exp(want[t][i]) * (want[t][i] - got[t][i]);
      if (t < from) {
        EXPECT_EQ(got[t], want[t]) << t;
      }
    }
    return total / static_cast<double>(want.size() - from);
  };
  const double all = drift({.quantize_from = 0}, 0);
  EXPECT_LT(all, 0.01);
  EXPECT_GT(all, 0) << "int8 rounds";
  EXPECT_EQ(drift({.kv_type = KvType::kInt8}, 0), all);
  const double late = drift({.quantize_from = 256}, 256);
  EXPECT_LT(late, 0.01);
  EXPECT_GT(late, 0);
}

}  // namespace
}  // namespace skua
