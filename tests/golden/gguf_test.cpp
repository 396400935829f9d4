// GGUF files that the reference package wrote from tiny random checkpoints,
// against mlx-lm's numbers for these.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/json.h"
#include "generate/session.h"
#include "tests/golden/golden.h"
#include "tests/support.h"

namespace skua {
namespace {

// Empty where there is none.
std::filesystem::path fixture(const std::string& name) {
  const char* folder = std::getenv("SKUA_GGUF_FIXTURES");
  if (folder == nullptr) return {};
  const auto path = std::filesystem::path(folder) / name;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

// COMP-18, COMP-30
TEST(GgufGolden, Lfm2HasTheLogitsOfItsCheckpoint) {
  const auto folder = test::asset("goldens/lm/lfm2");
  const auto file = fixture("lfm2.gguf");
  if (folder.empty() || file.empty())
    GTEST_SKIP() << "no asset goldens/lm/lfm2, or no SKUA_GGUF_FIXTURES";
  const Json expected = read_json(folder / "expected.json");
  const auto model = test::load_lm(file);
  auto ids = expected["prompt"].get<std::vector<std::int32_t>>();
  Session session(*model, 0);
  auto logits = test::to_host(session.prefill(ids));
  const Json& want = expected["logits_last"];
  ASSERT_EQ(logits.size(), want.size());
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i)
    worst = std::max(worst, std::abs(logits[i] - want[i].get<double>()));
  EXPECT_LE(worst, expected["tolerance"].get<double>());
  for (const Json& token : expected["greedy"]) {
    EXPECT_EQ(test::argmax(logits), token);
    logits = test::to_host(session.decode(token.get<std::int32_t>()));
  }
}

}  // namespace
}  // namespace skua
