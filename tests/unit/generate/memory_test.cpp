// What a process holds beyond weights and caches.
#include "tests/memory.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "generate/session.h"
#include "models/load.h"
#include "tests/support.h"

namespace skua {
namespace {

using Ids = std::vector<std::int32_t>;

// COMP-12: a copy of the weights for each size of a step would take ten times
// the file's bytes.
TEST(WeightMemory, StepsOfTenSizesCopyNoWeights) {
  const auto file = test::cached_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (file.empty()) GTEST_SKIP() << "no model file of SmolLM2";
  const auto loaded = load_model(file);
  const auto cache = std::make_shared<Cache>(loaded->model->make_cache());
  Session session(*loaded->model, cache, 0, 512);
  const auto step = [&](int n) {
    session.prefill(Ids(static_cast<std::size_t>(n), 28)).eval();
    mx::clear_cache();
  };
  step(1);
  const std::size_t arrays = mx::get_active_memory();
  const test::PeakMemory peak;
  for (int n = 1; n <= 512; n *= 2) step(n);
  EXPECT_EQ(session.tokens().size(), 1024u);
  EXPECT_EQ(mx::get_active_memory(), arrays);
  if (!peak.more()) GTEST_SKIP() << "memory is not counted anew";
  // Beside the cache the results of a step of 512 rows, some 20 MB.
  EXPECT_LE(*peak.more(), cache->n_bytes() + loaded->info.n_bytes * 3 / 10);
}

// COMP-28
TEST(WeightMemory, FourThousandTokensTakeOnlyTheirCache) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K/hf");
  const auto loaded = load_model(folder);
  const auto cache = std::make_shared<Cache>(loaded->model->make_cache());
  Session session(*loaded->model, cache, 0);
  const auto decode = [&](int n) {
    for (int i = 0; i < n; ++i) session.decode(1 + i % 500).eval();
  };
  session.prefill(Ids{1}).eval();
  decode(100);
  const std::size_t before = cache->n_bytes();
  const std::size_t arrays = mx::get_active_memory();
  const test::PeakMemory peak;
  decode(4000);
  EXPECT_LE(mx::get_active_memory(), arrays + 4096);
  if (!peak.more()) GTEST_SKIP() << "memory is not counted anew";
  // An eighth of a kilobyte a token.
  EXPECT_LE(*peak.more(), cache->n_bytes() - before + (512 << 10));
}

}  // namespace
}  // namespace skua
