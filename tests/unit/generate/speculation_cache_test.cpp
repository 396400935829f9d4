// Speculation over caches that give up what is old.
#include <gtest/gtest.h>

#include "generate/drafter.h"
#include "tests/unit/generate/runner.h"

namespace skua {
namespace {

using test::Answer;
using test::finish;
using test::Ids;
using test::Runner;

// The golden Gemma, whose layers but one in three see the last 7 tokens, with
// the tokenizer of stories260K.
std::shared_ptr<const LoadedModel> load_gemma() {
  const test::TempDir folder;
  for (const auto& [from, name] :
       {std::pair(test::asset("goldens/lm/gemma3_text"), "model.safetensors"),
        std::pair(test::asset("goldens/lm/gemma3_text"), "config.json"),
        std::pair(test::asset("lm/stories260K/hf"), "tokenizer.json")}) {
    std::filesystem::copy_file(from / name, folder.path() / name);
  }
  return load_model(folder.path());
}

class OldTokens : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (test::asset("goldens/lm/gemma3_text").empty() ||
        test::asset("lm/stories260K/hf").empty())
      GTEST_SKIP() << "no test assets gemma3_text and stories260K";
    loaded_ = GetParam() ? load_gemma()
                         : load_model(test::asset("lm/stories260K/hf"));
  }
  std::shared_ptr<Cache> cache(const CacheOptions& options) const {
    return std::make_shared<Cache>(loaded_->model->make_cache(options));
  }
  Answer run(int n_prompt, const CacheOptions& cache_options,
             GenerationOptions options, const DraftModel* draft) const {
    Ids prompt = {1};
    while (static_cast<int>(prompt.size()) < n_prompt)
      prompt.push_back(3 + static_cast<std::int32_t>(prompt.size()) * 7 % 90);
    options.max_tokens = 60;
    options.ignore_eos = true;
    Runner run(loaded_, Session(*loaded_->model, cache(cache_options), 0),
               prompt, options, TextStart::kFresh, draft);
    return finish(run);
  }

  std::shared_ptr<const LoadedModel> loaded_;
};

// SPEC-08: each cache can undo its newest step, so that none is refused. The
// answers pass several wraps and, from 490 on, the border of a page.
TEST_P(OldTokens, GreedyTextIsThatOfPlainDecodingWithTheSameCache) {
  int n_refused = 0;
  const CacheOptions rotating{.max_size = 40, .keep = 0};
  for (const CacheOptions& of_target :
       {CacheOptions{}, rotating, CacheOptions{.max_size = 300, .keep = 4}}) {
    for (const int n_prompt : {30, 490}) {
      SCOPED_TRACE(std::to_string(of_target.max_size) + " after " +
                   std::to_string(n_prompt));
      const Answer plain = run(n_prompt, of_target, {}, nullptr);
      for (const CacheOptions& of_draft : {CacheOptions{}, rotating}) {
        const DraftModel draft{loaded_, cache(of_draft)};
        for (const int n : {2, 11}) {
          const Answer got =
              run(n_prompt, of_target, {.draft_tokens = n, .draft_fixed = true},
                  &draft);
          EXPECT_EQ(got.ids, plain.ids) << n;
          EXPECT_EQ(got.stats.draft->warning, "");
          EXPECT_GT(got.stats.draft->n_accepted, 0);
          n_refused +=
              got.stats.draft->n_proposed - got.stats.draft->n_accepted;
        }
      }
      const Answer lookup =
          run(n_prompt, of_target,
              {.draft_tokens = 8, .prompt_lookup = true, .draft_fixed = true},
              nullptr);
      EXPECT_EQ(lookup.ids, plain.ids);
      EXPECT_GT(lookup.stats.draft->n_proposed, 0);
    }
  }
  EXPECT_GT(n_refused, 50) << "rounds are undone";
}

INSTANTIATE_TEST_SUITE_P(Models, OldTokens, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Windows" : "Rotating";
                         });

}  // namespace
}  // namespace skua
