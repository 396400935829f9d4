#include "bench/model.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "bench/model_size.h"
#include "generate/session.h"
#include "skua/error.h"

namespace skua::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostTokens = 1 << 20;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/** Sequences of random tokens that grow together. */
class Sequences {
 public:
  Sequences(const CausalLM& model, int n)
      : model_(&model), cache_(model.make_cache(KvType::kBf16)) {
    for (int i = 0; i < n; ++i) numbers_.push_back(cache_.add_sequence());
  }

  /** Appends n tokens to each sequence, one sequence after the other, and
   *  waits for the logits of the last. */
  void prefill(int n) {
    for (const int sequence : numbers_) {
      for (int done = 0; done < n; done += Session::kChunk) {
        Batch batch;
        const int n_rows = std::min(Session::kChunk, n - done);
        batch.add(sequence, length_ + done, n_rows);
        step(batch, done + n_rows == n);
      }
    }
    length_ += n;
    // States can be gone back to where they are kept.
    for (const int sequence : numbers_) cache_.mark(sequence, length_);
  }

  /** Appends a token to all sequences at once and waits for all logits. */
  void decode() {
    Batch batch;
    for (const int sequence : numbers_) {
      batch.add(sequence, length_, 1);
      batch.want_last();
    }
    step(batch, false);
    ++length_;
  }

  void trim(int length) {
    for (const int sequence : numbers_) cache_.trim(sequence, length);
    length_ = length;
  }

 private:
  void step(Batch& batch, bool want_last) {
    if (want_last) batch.want_last();
    std::uniform_int_distribution<std::int32_t> any(0,
                                                    model_->vocab_size() - 1);
    std::vector<std::int32_t> ids(batch.n_rows());
    for (auto& id : ids) id = any(random_);
    const auto logits = model_->forward(
        mx::array(ids.begin(), {batch.n_rows()}, mx::int32), batch, cache_);
    if (batch.output_rows.empty()) {
      mx::eval(cache_.arrays());
    } else {
      mx::eval(logits);
    }
  }

  const CausalLM* model_;
  Cache cache_;
  std::vector<int> numbers_;
  int length_ = 0;
  std::mt19937 random_{1};
};

void check(const ModelTest& test) {
  const auto fits = [](int value, int least) {
    return value >= least && value <= kMostTokens;
  };
  if (!fits(test.n_prompt, 0) || !fits(test.n_generated, 0) ||
      !fits(test.depth, 0) || !fits(test.batch, 1) ||
      !fits(test.n_repetitions, 1) ||
      (test.n_prompt == 0) == (test.n_generated == 0)) {
    throw InvalidInput("test",
                       "expected either a prompt or tokens to generate, "
                       "batch and repetitions from 1, all at most 2^20");
  }
}

void time_prompts(const CausalLM& model, const ModelTest& test, Json& row) {
  // The first pass over a mapped file waits for its pages. A prompt of one
  // token is there to time just that.
  if (test.n_prompt > 1) Sequences(model, 1).prefill(16);
  for (int i = 0; i < test.n_repetitions; ++i) {
    Sequences sequences(model, 1);
    const auto begin = Clock::now();
    sequences.prefill(test.n_prompt);
    row["tok_s"].push_back(test.n_prompt / seconds_since(begin));
  }
}

void time_steps(const CausalLM& model, const ModelTest& test, Json& row) {
  Sequences sequences(model, test.batch);
  if (test.depth > 0) {
    const auto begin = Clock::now();
    sequences.prefill(test.depth);
    row["prefill_tok_s"] = test.batch * test.depth / seconds_since(begin);
  }
  std::vector<double> steps_ms;
  for (int i = 0; i < test.n_repetitions; ++i) {
    sequences.trim(test.depth);
    sequences.decode();
    const auto begin = Clock::now();
    for (int step = 0; step < test.n_generated; ++step) {
      const auto step_begin = Clock::now();
      sequences.decode();
      steps_ms.push_back(1000 * seconds_since(step_begin));
    }
    row["tok_s"].push_back(test.batch * test.n_generated /
                           seconds_since(begin));
  }
  std::ranges::sort(steps_ms);
  row["step_ms_p50"] = steps_ms[steps_ms.size() / 2];
  row["step_ms_p99"] = steps_ms[(steps_ms.size() * 99 - 1) / 100];
}

}  // namespace

const std::vector<ModelTest>& known_tests() {
  static const std::vector<ModelTest> tests = {
      {"load", 1, 0, 0, 1, 1},
      {"prefill_128", 128, 0, 0, 1, 3},
      {"prefill_512", 512, 0, 0, 1, 2},
      {"prefill_2048", 2048, 0, 0, 1, 1},
      {"prefill_4096", 4096, 0, 0, 1, 1},
      {"decode", 0, 64, 0, 1, 3},
      {"decode_4k", 0, 64, 4096, 1, 1},
      {"decode_16k", 0, 64, 16384, 1, 1},
      {"batch_4", 0, 32, 16, 4, 1},
      {"batch_8", 0, 32, 16, 8, 1},
      {"batch_32", 0, 32, 16, 32, 1},
  };
  return tests;
}

ModelTest find_test(const std::string& name) {
  std::string known;
  for (const ModelTest& test : known_tests()) {
    if (test.name == name) return test;
    known += " " + test.name;
  }
  throw InvalidInput("test", "got '" + name + "', expected one of" + known);
}

void run_model_tests(const std::filesystem::path& path,
                     const LoadOptions& options,
                     const std::vector<ModelTest>& tests,
                     const std::function<void(const Json&)>& report) {
  std::ranges::for_each(tests, check);
  const auto begin = Clock::now();
  const auto loaded = load_model(path, options);
  const double load_s = seconds_since(begin);
  const ModelSize size = model_size(*loaded);
  for (const ModelTest& test : tests) {
    if (test.name != "load") loaded->wait_for_weights();
    Json row = {{"test", test.name}, {"tok_s", Json::array()}};
    if (test.n_generated == 0) {
      time_prompts(*loaded->model, test, row);
      row["flop_per_token"] = size.flop_per_prompt_token(test.n_prompt);
    } else {
      time_steps(*loaded->model, test, row);
      const double context = test.depth + 1 + test.n_generated / 2.0;
      row["bytes_per_token"] = size.bytes_per_token(context, test.batch);
    }
    row["weight_bytes"] = size.weight_bytes;
    row["kv_bytes"] = size.kv_bytes;
    row["threads"] = thread_count();
    row["load_s"] = load_s;
    row["rss_bytes"] = peak_memory();
    row["version"] = SKUA_VERSION;
    report(row);
  }
}

}  // namespace skua::bench
