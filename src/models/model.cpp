#include "models/model.h"

#include <mlx/mlx.h>

#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {

void check_step(const mx::array& ids, const Batch& batch, const Cache& cache) {
  if (ids.shape() != mx::Shape{batch.n_rows()} || ids.dtype() != mx::int32) {
    throw InvalidInput("forward",
                       "ids are " + shape_text(ids.shape()) + ", expected [" +
                           std::to_string(batch.n_rows()) + "] of type int32");
  }
  for (const int row : batch.output_rows) {
    if (row < 0 || row >= batch.n_rows()) {
      throw InvalidInput("forward", "output row is " + std::to_string(row) +
                                        ", expected 0 to " +
                                        std::to_string(batch.n_rows() - 1));
    }
  }
  cache.check(batch);
}

mx::array CausalLM::forward(const mx::array& ids, const Batch& batch,
                            Cache& cache) const {
  check_step(ids, batch, cache);
  cache.begin(batch);
  const mx::array out = mx::astype(logits(ids, batch, cache), mx::float32);
  cache.advance(batch);
  return out;
}

CausalLM::Step CausalLM::forward_with_hidden(const mx::array& ids,
                                             const Batch& batch,
                                             Cache& cache) const {
  check_step(ids, batch, cache);
  cache.begin(batch);
  Step step = logits_and_hidden(ids, batch, cache);
  step.logits = mx::astype(step.logits, mx::float32);
  step.hidden = mx::astype(step.hidden, mx::float32);
  cache.advance(batch);
  return step;
}

CausalLM::Step CausalLM::logits_and_hidden(const mx::array& /*ids*/,
                                           const Batch& /*batch*/,
                                           Cache& /*cache*/) const {
  throw Unsupported("forward", "the model gives no hidden states");
}

void check_ids(std::span<const std::int32_t> ids, int vocab_size,
               const std::string& where) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size) {
      throw InvalidInput(where, "token " + std::to_string(i) + " is " +
                                    std::to_string(ids[i]) +
                                    ", expected 0 to " +
                                    std::to_string(vocab_size - 1));
    }
  }
}

}  // namespace skua
