// stories260K, a small trained Llama, in every format in which it is stored.
#include <gtest/gtest.h>

#include "base/json.h"
#include "generate/session.h"
#include "tests/golden/golden.h"
#include "tests/support.h"

namespace skua {
namespace {

using test::argmax;
using test::to_host;

std::vector<std::int32_t> greedy(const CausalLM& model,
                                 const std::vector<std::int32_t>& prompt,
                                 std::size_t n) {
  Session session(model);
  std::vector<std::int32_t> ids;
  mx::array logits = session.prefill(prompt);
  while (true) {
    ids.push_back(argmax(to_host(logits)));
    if (ids.size() == n) return ids;
    logits = session.decode(ids.back());
  }
}

TEST(Stories260K, TheFolderMatchesTheFloat64Reference) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K");
  const auto model = test::load_lm(folder / "hf");
  const Json expected = read_json(folder / "expected.json");
  for (const Json& c : expected["cases"]) {
    const auto prompt = c["prompt_ids"].get<std::vector<std::int32_t>>();
    const auto want = c["greedy_ids"].get<std::vector<std::int32_t>>();
    EXPECT_EQ(greedy(*model, prompt, want.size()), want) << c["prompt"];
    Session session(*model);
    const auto logits = to_host(session.prefill(prompt));
    const Json& first = c["last_prompt_logits_first16"];
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_NEAR(logits[i], first[i], 1e-4);
  }
}

class Stories260KGguf : public testing::TestWithParam<const char*> {};

TEST_P(Stories260KGguf, GreedyIdsMatchTheReference) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K");
  const std::string format = GetParam();
  const auto model =
      test::load_lm(folder / ("stories260K-v3-" + format + ".gguf"));
  const Json golden = read_json(folder / "expected_gguf_quant.json")[format];
  const auto all = golden["greedy_ids"].get<std::vector<std::int32_t>>();
  const std::vector<std::int32_t> prompt(all.begin(), all.begin() + 5);
  const std::vector<std::int32_t> want(all.begin() + 5, all.end());
  EXPECT_EQ(greedy(*model, prompt, want.size()), want);
}

INSTANTIATE_TEST_SUITE_P(Formats, Stories260KGguf,
                         testing::Values("f32", "f16", "bf16", "q8_0", "q5_0",
                                         "q4_1", "q4_0"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

}  // namespace
}  // namespace skua
