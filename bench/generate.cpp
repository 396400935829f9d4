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

/** Runs the tests whose names contain a text. */
class Tests {
 public:
  Tests(std::string only, int n_trials, std::function<void(const Json&)> emit)
      : only_(std::move(only)), n_trials_(n_trials), emit_(std::move(emit)) {}

  void run(const std::string& name, const std::function<Json()>& test) const {
    if (name.find(only_) == name.npos) return;
    Json row = test();
    row["test"] = name;
    emit_(row);
  }

  void compare(const std::string& name, const std::vector<Way>& ways) const {
    run(name, [&] { return take_turns(ways); });
  }

  /** Lets the ways take turns, every other time the other way round. Of each
   *  way but the first, `x` is by how much it is faster than the first: best
   *  over best, and the median of the pairs that ran next to each other. */
  Json take_turns(const std::vector<Way>& ways) const {
    std::vector<std::vector<double>> rates(ways.size());
    for (int trial = 0; trial < n_trials_; ++trial) {
      for (std::size_t i = 0; i < ways.size(); ++i) {
        const std::size_t way = trial % 2 == 0 ? i : ways.size() - 1 - i;
        rates[way].push_back(ways[way].tokens_per_second());
      }
    }
    Json row;
    const Rate first = summarize(rates[0]);
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const std::string& name = ways[i].name;
      const Rate rate = summarize(rates[i]);
      row["tok_s"][name] = {{"best", rate.best}, {"median", rate.median}};
      if (i == 0) continue;
      std::vector<double> pairs;
      for (std::size_t trial = 0; trial < rates[i].size(); ++trial)
        pairs.push_back(rates[i][trial] / rates[0][trial]);
      row["x"][name] = {{"best", rate.best / first.best},
                        {"median", summarize(pairs).median}};
    }
    return row;
  }

 private:
  std::string only_;
  int n_trials_;
  std::function<void(const Json&)> emit_;
};

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
             bool run_ahead = true, std::vector<double>* steps_ms = nullptr) {
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
    newest_drafts_ = sequences.front()->stats().draft;
    return (n_after - n_before) / seconds;
  }

  /** Of the newest answer, where it had drafts. */
  const std::optional<DraftStats>& newest_drafts() const {
    return newest_drafts_;
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
  std::optional<DraftStats> newest_drafts_;
};

void drafts_against_none(const Tests& tests, const std::string& name,
                         Answers& answers, const Ids& prompt,
                         const GenerationOptions& options) {
  GenerationOptions plain = options;
  plain.draft_tokens = 0;
  DraftStats stats;
  const auto with_drafts = [&] {
    const double rate = answers.run(prompt, options);
    stats = answers.newest_drafts().value();
    return rate;
  };
  tests.run(name, [&] {
    Json row =
        tests.take_turns({{"plain", [&] { return answers.run(prompt, plain); }},
                          {"drafts", with_drafts}});
    row["drafted"] = {{"steps", stats.n_steps},
                      {"rounds", stats.n_rounds},
                      {"proposed", stats.n_proposed},
                      {"accepted", stats.n_accepted}};
    return row;
  });
}

Json steady(Answers& answers, const Ids& prompt) {
  std::vector<double> steps_ms;
  answers.run(prompt, {.max_tokens = 600}, 1, true, &steps_ms);
  std::ranges::sort(steps_ms);
  return {{"steps", steps_ms.size()},
          {"step_ms_p50", steps_ms[steps_ms.size() / 2]},
          {"step_ms_p99", steps_ms[(steps_ms.size() * 99 - 1) / 100]}};
}

void run_plain(const Tests& tests, Answers& answers, const Ids& prompt) {
  const GenerationOptions greedy{.max_tokens = kTokens};
  tests.compare(
      "decode",
      {{"primitives", [&] { return answers.run_primitives(prompt, kTokens); }},
       {"ahead", [&] { return answers.run(prompt, greedy); }},
       {"in_turn", [&] { return answers.run(prompt, greedy, 1, false); }}});
  for (const int n : {1, 4}) {
    const GenerationOptions sampled{
        .max_tokens = n == 1 ? kTokens : 24, .temperature = 0.8, .top_p = 0.95};
    tests.compare(
        "sampled_" + std::to_string(n),
        {{"in_turn", [&] { return answers.run(prompt, sampled, n, false); }},
         {"ahead", [&] { return answers.run(prompt, sampled, n); }}});
  }
  for (const int n : {1, 4, 8, 32}) {
    const GenerationOptions some{.max_tokens = n < 32 ? 48 : 24};
    tests.compare("batch_" + std::to_string(n),
                  {{"greedy", [&] { return answers.run(prompt, some, n); }}});
  }
}

void run_lookup(const Tests& tests, Answers& answers, const Ids& prompt,
                const Ids& copies) {
  GenerationOptions options{.max_tokens = kTokens};
  options.draft_tokens = 8;
  options.prompt_lookup = true;
  drafts_against_none(tests, "lookup_copy", answers, copies, options);
  options.max_tokens = kTokensOfDrafts;
  options.temperature = 1;
  drafts_against_none(tests, "lookup_sampled", answers, copies, options);
  options.temperature = 5;
  drafts_against_none(tests, "lookup_random", answers, prompt, options);
}

void run_draft(const Tests& tests, Answers& answers, const Ids& prompt,
               const Ids& copies) {
  GenerationOptions options{.max_tokens = kTokensOfDrafts};
  options.draft_tokens = 4;
  drafts_against_none(tests, "draft_greedy", answers, prompt, options);
  drafts_against_none(tests, "draft_copy", answers, copies, options);
  options.temperature = 0.8;
  drafts_against_none(tests, "draft_sampled", answers, prompt, options);
  options.temperature = 5;
  options.draft_by_equality = true;
  drafts_against_none(tests, "draft_random", answers, prompt, options);
}

}  // namespace

// COMP-03, COMP-13, SPEC-13
void run_generate_tests(const std::filesystem::path& path,
                        const std::filesystem::path& draft_path,
                        const std::string& only, int n_trials,
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
  Answers answers(model, draft);
  const std::string passage = kPassage;
  const Ids prompt = answers.encode(passage);
  const Ids copies = answers.encode(passage + passage + passage);
  answers.run(prompt, {.max_tokens = kTokens});

  const Tests tests(only, n_trials, emit);
  run_plain(tests, answers, prompt);
  run_lookup(tests, answers, prompt, copies);
  if (draft) run_draft(tests, answers, prompt, copies);
  tests.run("steady", [&] { return steady(answers, prompt); });
}

}  // namespace skua::bench
