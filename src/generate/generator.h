#pragma once

#include <memory>
#include <span>
#include <vector>

#include "generate/draft_length.h"
#include "generate/sequence.h"

namespace skua {

/** Steps any number of sequences through a model: each step is one flat batch
 *  of the newest tokens of those that answer and of pieces of prompts. To be
 *  used on the thread that owns MLX. */
class Generator {
 public:
  /** model     outlives the Generator
   *  max_rows  most tokens of prompts in a step
   *  oracle    each row's logits come from an Oracle, and caches stay empty */
  explicit Generator(const CausalLM& model, int max_rows = Session::kChunk,
                     bool oracle = false);

  /** The sequence takes part from the next step on, until it ends. All that
   *  take part have sessions of one cache.
   *  Throws InvalidInput for a sequence of another cache. */
  void add(std::shared_ptr<Sequence> sequence);

  /** Takes a sequence out, if it is still in. */
  void remove(const Sequence& sequence);

  /** One step; false where no sequence goes on. What fails ends the sequences
   *  it concerns, and nothing else. */
  bool step();

 private:
  struct Part {
    Sequence* sequence;
    std::size_t n_logits;  // rows
  };

  void run(const std::vector<Part>& parts, const Batch& batch,
           const std::vector<std::int32_t>& ids);

  void take(const std::vector<Part>& parts, std::span<const float> rows) const;
  std::vector<float> oracle_logits(const std::vector<Part>& parts,
                                   const Batch& batch,
                                   const std::vector<std::int32_t>& ids) const;

  const CausalLM& model_;
  int max_rows_;
  bool oracle_;
  StepCost cost_;  // of steps without prompts
  std::vector<std::shared_ptr<Sequence>> sequences_;
};

}  // namespace skua
