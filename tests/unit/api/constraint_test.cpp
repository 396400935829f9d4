#include <gtest/gtest.h>

#include <map>

#include "base/json.h"
#include "skua/skua.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

class ConstrainedApi : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = test::asset("lm/stories260K/hf");
    if (path.empty()) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    model_ = Model::load(path.string());
  }
  std::optional<Model> model_;
};

// GEN-67
TEST_F(ConstrainedApi, ABadSchemaSpoilsNoOtherRow) {
  BatchStream batch = model_->batch();
  batch.add("Once", {.choice = {"yes", "no"}});
  batch.add("Once", {.json_schema = R"({"type": "text"})"});
  batch.add("Once", {.json_schema = R"({"$ref": "other.json"})"});
  batch.add("Once", {.regex = "[0-9]{4}", .choice = {"a"}});
  batch.add("Once", {.regex = "[0-9]{4}"});
  std::map<std::size_t, std::string> texts;
  while (const auto event = batch.next())
    if (event->piece) texts[event->row] += event->piece->text;
  EXPECT_TRUE(texts[0] == "yes" || texts[0] == "no") << texts[0];
  EXPECT_EQ(texts[4].size(), 4u);
  for (const std::size_t bad : {1u, 2u, 3u}) {
    EXPECT_EQ(batch.finish_reason(bad), FinishReason::kError);
    EXPECT_TRUE(batch.error(bad));
  }
  EXPECT_NE(batch.error(2)->find("$ref"), std::string::npos) << *batch.error(2);
}

TEST_F(ConstrainedApi, EachTurnOfAChatStartsAfresh) {
  const GenerationOptions options{
      .json_schema = R"({"type": "array", "items": {"enum": [1, 2]},
                         "maxItems": 3})"};
  Chat chat(*model_);
  for (int turn = 0; turn < 3; ++turn) {
    chat.user("Go on.");
    const std::string answer = model_->generate(chat, options);
    const Json value = parse_json(answer, "answer");
    EXPECT_TRUE(value.is_array() && value.size() <= 3) << answer;
    chat.assistant(answer);
  }
}

}  // namespace
}  // namespace skua
