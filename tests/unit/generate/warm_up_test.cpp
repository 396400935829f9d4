#include "generate/warm_up.h"

#include <gtest/gtest.h>

#include "skua/error.h"
#include "tests/unit/generate/scripted_model.h"

namespace skua {
namespace {

// COMP-17
TEST(WarmUp, IsAStepOfAPromptAndOneOfAnAnswerThatLeaveNothing) {
  const test::ScriptedModel model(8, [](int) { return test::sure_of(1, 8); });
  const auto cache = std::make_shared<Cache>(model.make_cache());
  warm_up(model, cache);
  using Segments = std::vector<std::vector<int>>;
  EXPECT_EQ(model.segments, (Segments{{32}, {1}}));
  EXPECT_THROW(cache->length(0), InvalidInput);
}

}  // namespace
}  // namespace skua
