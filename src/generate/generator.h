#pragma once

#include <mlx/array.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "generate/draft_length.h"
#include "generate/sequence.h"

namespace skua {

struct GeneratorOptions {
  /** Most tokens of prompts in a step. */
  int max_prompt_rows = Session::kChunk;
  /** Whether a step may begin before the tokens of the one before are read. */
  bool run_ahead = true;
  /** Whether logits come from an Oracle, one step at a time; caches then count
   *  tokens and hold nothing. */
  bool oracle = false;
};

/** Steps any number of sequences through a model: each step is one flat batch
 *  of the newest tokens of those that answer and of pieces of prompts. Where
 *  all tokens can be foreseen, a step begins while the one before is still to
 *  be read; where another token is chosen than foreseen, or the answer ends,
 *  its row is dropped. To be used on the thread that owns MLX. */
class Generator {
 public:
  /** model  outlives the Generator */
  explicit Generator(const CausalLM& model,
                     const GeneratorOptions& options = {});
  /** Waits for what still runs. */
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  /** The sequence takes part from the next step on, until it ends. All that
   *  take part have sessions of one cache.
   *  Throws InvalidInput for a sequence of another cache. */
  void add(std::shared_ptr<Sequence> sequence);
  /** Takes a sequence out, if it is still in. */
  void remove(Sequence& sequence);

  /** One step; false where no sequence goes on. What fails ends the sequences
   *  it concerns, and nothing else. */
  bool step();

 private:
  using Clock = std::chrono::steady_clock;

  struct Part {
    Sequence* sequence;  // null once it has left
    int n_rows;
    int n_logits;
  };

  /** A step that runs or has run. */
  struct Step {
    Batch batch = {};
    std::vector<Part> parts = {};
    bool has_prompts = false;
    std::size_t n_ahead = 0;  // how many tokens were to come when it began
    std::optional<mx::array> logits = {};    // [n_logits, V]
    std::optional<mx::array> foreseen = {};  // [n_logits] int32, if ahead
    std::optional<mx::array> hidden = {};    // [T, D], where one reads it
    Clock::time_point begin = {};
  };

  Step plan(std::vector<std::int32_t>& ids);
  static bool checks_guesses(const Step& step);
  void start(Step& step, const mx::array& ids, bool ahead);
  void ask_oracle(Step& step, const std::vector<std::int32_t>& ids) const;
  bool foreseeable(const Step& step) const;
  std::optional<Step> follow(const Step& step);
  void finish(Step& step);
  void drop_what_did_not_come(Step& next, const Step& step);
  void leave(Step& step, const Sequence& sequence);

  const CausalLM& model_;
  GeneratorOptions options_;
  StepCost cost_;           // of steps without prompts
  Cache* cache_ = nullptr;  // of all sequences
  std::vector<std::shared_ptr<Sequence>> sequences_;
  std::optional<Step> running_;
  std::optional<mx::array> newest_;  // runs as long as any step does
  Clock::time_point last_end_ = {};
};

}  // namespace skua
