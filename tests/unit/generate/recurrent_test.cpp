// Sessions, batches and speculation over models whose layers hold states.
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <random>

#include "generate/explain.h"
#include "skua/error.h"
#include "tests/unit/generate/runner.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::Answer;
using test::finish;
using test::Ids;
using test::numbers;
using test::Runner;

// A golden model with the tokenizer of stories260K.
std::shared_ptr<const LoadedModel> load_golden(const std::string& name) {
  const test::TempDir folder;
  const auto golden = test::asset("goldens/lm/" + name);
  for (const auto& [from, file] :
       {std::pair(golden, "model.safetensors"),
        std::pair(golden, "config.json"),
        std::pair(test::asset("lm/stories260K/hf"), "tokenizer.json")}) {
    std::filesystem::copy_file(from / file, folder.path() / file);
  }
  return load_model(folder.path());
}

Ids some(int n, unsigned seed) {
  std::mt19937 engine(seed);
  Ids ids;
  for (int i = 0; i < n; ++i)
    ids.push_back(static_cast<std::int32_t>(engine() % 101));
  return ids;
}

class Recurrent : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (test::asset(std::string("goldens/lm/") + GetParam()).empty() ||
        test::asset("lm/stories260K/hf").empty())
      GTEST_SKIP() << "no test assets " << GetParam() << " and stories260K";
    loaded_ = load_golden(GetParam());
    model_ = loaded_->model.get();
  }

  // Whether a row has the same bits however its text is cut into steps.
  bool is_exact() const { return std::string(GetParam()) == "lfm2"; }

  std::vector<float> fresh(const Ids& ids) const {
    return numbers(Session(*model_).prefill(ids));
  }
  void expect_same(const mx::array& got, const Ids& ids,
                   const std::string& what) const {
    const auto want = fresh(ids);
    if (is_exact()) {
      EXPECT_EQ(numbers(got), want) << what;
    } else {
      EXPECT_LE(test::worst(numbers(got), want), 2e-4) << what;
    }
  }
  DraftModel draft_of(const std::shared_ptr<const LoadedModel>& loaded) const {
    return {loaded, std::make_shared<Cache>(loaded->model->make_cache())};
  }
  Answer run(const Ids& prompt, GenerationOptions options,
             const DraftModel* draft = nullptr) const {
    options.ignore_eos = true;
    Runner run(loaded_, Session(*model_), prompt, options, TextStart::kFresh,
               draft);
    return finish(run);
  }

  std::shared_ptr<const LoadedModel> loaded_;
  const CausalLM* model_ = nullptr;
};

// GEN-75, GEN-37
TEST_P(Recurrent, PrefillInOddChunksEqualsWhole) {
  const Ids ids = some(160, 1);
  for (const int chunk : {1, 2, 7, 31, 32, 33, 64, 65, 159}) {
    Session session(*model_, 0, chunk);
    expect_same(session.prefill(ids), ids, std::to_string(chunk));
  }
}

// GEN-75, GEN-41
TEST_P(Recurrent, TheNextTurnGoesOnFromTheEndOfThePrompt) {
  const Ids prompt = some(70, 2);
  Session session(*model_);
  session.extend_to(prompt);
  for (const std::int32_t id : some(9, 3)) session.decode(id);
  Ids next = prompt;
  for (const std::int32_t id : some(40, 4)) next.push_back(id);
  EXPECT_EQ(session.n_common(next), prompt.size());
  expect_same(session.extend_to(next), next, "second turn");
  EXPECT_EQ(session.tokens(), next);
  // Without the last turn; then with another beginning.
  Ids other = prompt;
  other.push_back(5);
  EXPECT_EQ(session.n_common(other), prompt.size());
  expect_same(session.extend_to(other), other, "another second turn");
  other[60] = (other[60] + 1) % 101;
  EXPECT_EQ(session.n_common(other), 0u);
  expect_same(session.extend_to(other), other, "another beginning");
}

// GEN-75, GEN-41
TEST_P(Recurrent, AnAnswersPromptIsReadOnce) {
  const Ids prompt = some(50, 5);
  Runner first(loaded_, Session(*model_), prompt,
               {.max_tokens = 20, .ignore_eos = true});
  finish(first);
  Ids next = prompt;
  for (const std::int32_t id : some(20, 6)) next.push_back(id);
  Runner second(loaded_, first->take_memory().session, next,
                {.max_tokens = 30, .ignore_eos = true});
  const Answer got = finish(second);
  EXPECT_EQ(got.stats.n_cached_tokens, 50);
  EXPECT_EQ(got.ids, run(next, {.max_tokens = 30}).ids);
}

// GEN-75
TEST_P(Recurrent, RewindingGoesNoFurtherThanItSays) {
  Session session(*model_);
  const Ids prompt = some(40, 7);
  session.extend_to(prompt);
  for (const std::int32_t id : some(6, 8)) session.decode(id);
  for (const auto& [to, want] : {std::pair(46, 46u), {45, 45u}, {44, 40u}}) {
    Session copy = session.fork();
    copy.rewind(to);
    ASSERT_EQ(copy.tokens().size(), want) << to;
    Ids ids = copy.tokens();
    ids.push_back(3);
    expect_same(copy.decode(3), ids, std::to_string(to));
  }
  EXPECT_THROW(session.rewind(47), InvalidInput);
  session.rewind(39);
  EXPECT_TRUE(session.tokens().empty());
  expect_same(session.prefill(prompt), prompt, "anew");
}

// GEN-75, COMP-01, COMP-04
TEST_P(Recurrent, AnyOrderOfCallsEqualsAFreshRun) {
  std::mt19937 engine(11);
  const auto random = [&](std::size_t n) { return engine() % n; };
  Session session(*model_, 300, 40);
  for (int step = 0; step < 50; ++step) {
    Ids held = session.tokens();
    mx::array logits = mx::array(0.0f);
    switch (held.size() > 200 ? 2 : random(4)) {
      case 0: {
        const Ids more = some(1 + static_cast<int>(random(50)), engine());
        logits = session.prefill(more);
        held.insert(held.end(), more.begin(), more.end());
        break;
      }
      case 1: {
        held.push_back(some(1, engine())[0]);
        logits = session.decode(held.back());
        break;
      }
      case 2: {
        const std::size_t n = random(held.size() + 1);
        session.rewind(static_cast<int>(n));
        ASSERT_LE(session.tokens().size(), n);
        if (step % 2 == 0) session = session.fork();
        continue;
      }
      default: {
        held.resize(random(held.size() + 1));
        const Ids more = some(1 + static_cast<int>(random(5)), engine());
        held.insert(held.end(), more.begin(), more.end());
        logits = session.extend_to(held);
      }
    }
    ASSERT_EQ(session.tokens(), held);
    expect_same(logits, held, "step " + std::to_string(step));
  }
}

// GEN-75, SPEC-08, SPEC-01: snapshots lead back to where the drafts began.
TEST_P(Recurrent, GreedyIdsAreThoseOfPlainDecodingWhateverTheDraft) {
  const DraftModel itself = draft_of(loaded_);
  const DraftModel noise =
      draft_of(load_golden(is_exact() ? "mamba2" : "lfm2"));
  int n_refused = 0, n_accepted = 0;
  for (const int n_prompt : {1, 90}) {
    const Ids prompt = some(n_prompt, 9);
    const Answer plain = run(prompt, {.max_tokens = 40});
    for (const int n : {1, 3, 16}) {
      const GenerationOptions options{
          .max_tokens = 40, .draft_tokens = n, .draft_fixed = true};
      for (const DraftModel* draft : {&itself, &noise}) {
        const Answer got = run(prompt, options, draft);
        EXPECT_EQ(got.ids, plain.ids) << n_prompt << " " << n;
        EXPECT_EQ(got.stats.draft->warning, "");
        if (draft == &itself) {
          EXPECT_EQ(got.stats.draft->n_accepted, got.stats.draft->n_proposed);
        }
        n_accepted += got.stats.draft->n_accepted;
        n_refused += got.stats.draft->n_proposed - got.stats.draft->n_accepted;
      }
      GenerationOptions lookup = options;
      lookup.prompt_lookup = true;
      const Answer got = run(prompt, lookup);
      EXPECT_EQ(got.ids, plain.ids) << n_prompt << " " << n;
      n_refused += got.stats.draft->n_proposed - got.stats.draft->n_accepted;
    }
  }
  EXPECT_GT(n_refused, 50) << "rounds are undone";
  EXPECT_GT(n_accepted, 100);
}

// GEN-63, GEN-65
TEST_P(Recurrent, EachOfABatchsAnswersIsItsOwnAlone) {
  const auto cache = std::make_shared<Cache>(model_->make_cache());
  Generator generator(*model_);
  std::vector<std::shared_ptr<Sequence>> sequences;
  std::vector<Answer> want;
  for (const int n : {1, 45, 8, 130, 20, 64}) {
    GenerationOptions options{.max_tokens = 12 + n / 4, .ignore_eos = true};
    if (n == 8) {
      options.draft_tokens = 4;
      options.draft_fixed = true;
      options.prompt_lookup = true;
    }
    const Ids prompt = some(n, static_cast<unsigned>(n));
    want.push_back(run(prompt, options));
    sequences.push_back(std::make_shared<Sequence>(
        loaded_, Session(*model_, cache, 0), prompt, options));
    generator.add(sequences.back());
    generator.step();  // the next one joins late
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    Ids ids;
    while (const auto piece = sequences[i]->pop()) ids.push_back(piece->token);
    EXPECT_EQ(ids, want[i].ids) << i;
  }
  sequences.clear();
}

// GEN-75, GEN-66
TEST_P(Recurrent, StatesDoNotGrowWithTheText) {
  const auto cache = std::make_shared<Cache>(model_->make_cache());
  const auto n_bytes = [&] {
    std::size_t total = 0;
    for (int i = 0; i < cache->n_layers(); ++i)
      total += cache->layer(i).states().n_bytes();
    return total;
  };
  {
    Session session(*model_, cache, 0);
    session.extend_to(some(100, 1));
    session.decode(1).eval();
    session.decode(1).eval();
    const std::size_t before = n_bytes();
    EXPECT_GT(before, 0u);
    for (int i = 0; i < 50; ++i) session.decode(i).eval();
    EXPECT_EQ(n_bytes(), before);
  }
  EXPECT_EQ(cache->n_bytes(), 0u);
}

// GEN-75, COMP-15
TEST_P(Recurrent, ThePlanOfCachesCountsStates) {
  for (const int n : {1, 288, 300, 600}) {
    Session session(*model_, std::make_shared<Cache>(model_->make_cache()), 0);
    session.prefill(some(n, 1)).eval();
    const Explanation e = explain(*loaded_, n, {});
    EXPECT_EQ(e.cache_bytes, session.cache().n_bytes()) << n;
    int n_states = 0, n_layers = 0;
    for (const auto& layers : e.cache) {
      n_layers += layers.n;
      if (!layers.state) continue;
      n_states += layers.n;
      EXPECT_EQ(layers.n_bytes, layers.read_bytes * (n > 288 ? 2 : 1)) << n;
    }
    EXPECT_EQ(n_layers, model_->n_layers());
    EXPECT_EQ(n_states, GetParam() == std::string("mamba2") ? 3 : 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Recurrent,
                         testing::Values("lfm2", "mamba2", "qwen3_next"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

}  // namespace
}  // namespace skua
