#include "bench/generate.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "base/trials.h"
#include "generate/generator.h"
#include "models/load.h"

namespace skua::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Ids = std::vector<std::int32_t>;

constexpr int kTrials = 5;
constexpr int kTokens = 96;
// A draft model reads the prompt first, which has to pay too.
constexpr int kTokensOfDrafts = 256;

constexpr const char* kPassage =
    "The harbour of Marren has two piers. The eastern one was built for the "
    "salt boats and is now used by anglers; the western one still serves the "
    "ferry, which leaves at ten past every hour, calls at Little Skerry and "
    "the lighthouse, and is back before the tide turns. In winter it sails "
    "only when the harbour master has hung out the green lamp.\n\n";

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Way {
  std::string name;
  std::function<double()> tokens_per_second;
};

/** Lets the ways take turns. */
Json compare(const std::string& test, const std::vector<Way>& ways) {
  std::vector<std::vector<double>> rates(ways.size());
  for (int trial = 0; trial < kTrials; ++trial) {
    for (std::size_t i = 0; i < ways.size(); ++i)
      rates[i].push_back(ways[i].tokens_per_second());
  }
  Json row = {{"test", test}};
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const Rate rate = summarize(rates[i]);
    row["tok_s"][ways[i].name] = {{"best", rate.best}, {"median", rate.median}};
  }
  return row;
}

class Answers {
 public:
  Answers(std::shared_ptr<const LoadedModel> model,
          std::optional<DraftModel> draft)
      : model_(std::move(model)),
        draft_(std::move(draft)),
        cache_(
            std::make_shared<Cache>(model_->model->make_cache(KvType::kBf16))) {
  }

  Ids encode(const std::string& text) const {
    return model_->need_tokenizer().encode(text);
  }

  /** Tokens per second after the first, of n answers at once. */
  double run(const Ids& prompt, GenerationOptions options, int n = 1,
             bool run_ahead = true,
             std::vector<double>* steps_ms = nullptr) const {
    options.ignore_eos = true;
    options.seed = 1;
    Generator generator(*model_->model, {.run_ahead = run_ahead});
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (int i = 0; i < n; ++i) {
      sequences.push_back(std::make_shared<Sequence>(
          model_, Session(*model_->model, cache_, 0), prompt, options,
          TextStart::kFresh, draft_ ? &*draft_ : nullptr));
      generator.add(sequences.back());
    }
    while (!std::ranges::all_of(sequences,
                                [](const auto& s) { return s->answers(); })) {
      generator.step();
    }
    const auto begin = Clock::now();
    int n_before = 0;
    for (const auto& s : sequences) n_before += s->stats().n_generated_tokens;
    auto step_begin = begin;
    while (generator.step()) {
      if (!steps_ms) continue;
      const auto now = Clock::now();
      steps_ms->push_back(
          std::chrono::duration<double, std::milli>(now - step_begin).count());
      step_begin = now;
    }
    const double seconds = seconds_since(begin);
    int n_after = 0;
    for (const auto& s : sequences) n_after += s->stats().n_generated_tokens;
    return (n_after - n_before) / seconds;
  }

  /** The loop that a caller of the primitives writes. */
  double run_primitives(const Ids& prompt, int n_tokens) const {
    Session session(*model_->model, cache_, 0);
    mx::array logits = session.prefill(prompt);
    logits.eval();
    const auto begin = Clock::now();
    for (int i = 0; i < n_tokens; ++i) {
      const auto row = std::span(logits.data<float>(), logits.size());
      const auto likeliest = std::ranges::max_element(row) - row.begin();
      logits = session.decode(static_cast<std::int32_t>(likeliest));
      logits.eval();
    }
    return n_tokens / seconds_since(begin);
  }

 private:
  std::shared_ptr<const LoadedModel> model_;
  std::optional<DraftModel> draft_;
  std::shared_ptr<Cache> cache_;
};

Json drafts_against_none(const Answers& answers, const std::string& test,
                         const Ids& prompt, GenerationOptions options) {
  GenerationOptions plain = options;
  plain.draft_tokens = 0;
  return compare(test,
                 {{"plain", [&] { return answers.run(prompt, plain); }},
                  {"drafts", [&] { return answers.run(prompt, options); }}});
}

Json steady(const Answers& answers, const Ids& prompt) {
  std::vector<double> steps_ms;
  answers.run(prompt, {.max_tokens = 600}, 1, true, &steps_ms);
  std::ranges::sort(steps_ms);
  return {{"test", "steady"},
          {"steps", steps_ms.size()},
          {"step_ms_p50", steps_ms[steps_ms.size() / 2]},
          {"step_ms_p99", steps_ms[(steps_ms.size() * 99 - 1) / 100]}};
}

/** Runs the tests whose names contain a text. */
class Tests {
 public:
  Tests(std::string only, std::function<void(const Json&)> emit)
      : only_(std::move(only)), emit_(std::move(emit)) {}

  void run(const std::string& name, const std::function<Json()>& test) const {
    if (name.find(only_) != name.npos) emit_(test());
  }

 private:
  std::string only_;
  std::function<void(const Json&)> emit_;
};

void run_plain(const Tests& tests, const Answers& answers, const Ids& prompt) {
  const GenerationOptions greedy{.max_tokens = kTokens};
  tests.run("decode", [&] {
    return compare(
        "decode",
        {{"primitives",
          [&] { return answers.run_primitives(prompt, kTokens); }},
         {"ahead", [&] { return answers.run(prompt, greedy); }},
         {"in_turn", [&] { return answers.run(prompt, greedy, 1, false); }}});
  });
  for (const int n : {1, 4}) {
    const GenerationOptions sampled{
        .max_tokens = n == 1 ? kTokens : 24, .temperature = 0.8, .top_p = 0.95};
    const std::string name = "sampled_" + std::to_string(n);
    tests.run(name, [&] {
      return compare(
          name, {{"ahead", [&] { return answers.run(prompt, sampled, n); }},
                 {"in_turn",
                  [&] { return answers.run(prompt, sampled, n, false); }}});
    });
  }
  for (const int n : {1, 4, 8, 32}) {
    const GenerationOptions some{.max_tokens = n < 32 ? 48 : 24};
    const std::string name = "batch_" + std::to_string(n);
    tests.run(name, [&] {
      return compare(
          name, {{"greedy", [&] { return answers.run(prompt, some, n); }}});
    });
  }
}

void run_lookup(const Tests& tests, const Answers& answers, const Ids& prompt,
                const Ids& copies) {
  GenerationOptions options{.max_tokens = kTokens};
  options.draft_tokens = 8;
  options.prompt_lookup = true;
  tests.run("lookup_copy", [&] {
    return drafts_against_none(answers, "lookup_copy", copies, options);
  });
  options.temperature = 5;
  tests.run("lookup_random", [&] {
    return drafts_against_none(answers, "lookup_random", prompt, options);
  });
}

void run_draft(const Tests& tests, const Answers& answers, const Ids& prompt,
               const Ids& copies) {
  GenerationOptions options{.max_tokens = kTokensOfDrafts};
  options.draft_tokens = 4;
  tests.run("draft_greedy", [&] {
    return drafts_against_none(answers, "draft_greedy", prompt, options);
  });
  tests.run("draft_copy", [&] {
    return drafts_against_none(answers, "draft_copy", copies, options);
  });
  options.temperature = 0.8;
  tests.run("draft_sampled", [&] {
    return drafts_against_none(answers, "draft_sampled", prompt, options);
  });
  options.temperature = 5;
  options.draft_by_equality = true;
  tests.run("draft_random", [&] {
    return drafts_against_none(answers, "draft_random", prompt, options);
  });
}

}  // namespace

// COMP-03, COMP-13, SPEC-13
void run_generate_tests(const std::filesystem::path& path,
                        const std::filesystem::path& draft_path,
                        const std::string& only,
                        const std::function<void(const Json&)>& emit) {
  const auto model = load_model(path);
  model->wait_for_weights();
  std::optional<DraftModel> draft;
  if (!draft_path.empty()) {
    const auto loaded = load_model(draft_path);
    check_draft(*model, *loaded);
    loaded->wait_for_weights();
    draft.emplace(loaded, std::make_shared<Cache>(
                              loaded->model->make_cache(KvType::kBf16)));
  }
  const Answers answers(model, draft);
  const std::string passage = kPassage;
  const Ids prompt = answers.encode(passage);
  const Ids copies = answers.encode(passage + passage + passage);
  answers.run(prompt, {.max_tokens = kTokens});

  const Tests tests(only, emit);
  run_plain(tests, answers, prompt);
  run_lookup(tests, answers, prompt, copies);
  if (draft) run_draft(tests, answers, prompt, copies);
  tests.run("steady", [&] { return steady(answers, prompt); });
}

}  // namespace skua::bench
