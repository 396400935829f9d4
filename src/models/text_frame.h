#pragma once

#include <optional>
#include <vector>

#include "models/model.h"
#include "nn/layers.h"
#include "nn/pace.h"

namespace skua {

/** What stands around the layers of a language model: token embeddings before
 *  them, final norm and output head after them. */
class TextFrame {
 public:
  struct Sizes {
    int vocab_size, dim;
    float norm_eps;
    bool tied;  // the head is the embedding
    RmsNorm::Stored norm_stored = RmsNorm::Stored::kWeight;
  };

  TextFrame(const Sizes& sizes, const Scope& embedding, const Scope& norm,
            const Scope& head)
      : vocab_size_(sizes.vocab_size),
        embedding_(embedding, sizes.vocab_size, sizes.dim),
        norm_(norm, sizes.dim, sizes.norm_eps, sizes.norm_stored) {
    if (!sizes.tied) head_.emplace(head, sizes.dim, sizes.vocab_size);
  }

  int vocab_size() const { return vocab_size_; }

  /** ids [T] int32 -> [T, dim] */
  mx::array embed(const mx::array& ids) const { return embedding_(ids); }
  /** x [T, dim] -> [T, dim] */
  mx::array norm(const mx::array& x) const { return norm_(x); }
  /** x [T, dim], normed -> [T, vocab_size] */
  mx::array head(const mx::array& x) const {
    return head_ ? (*head_)(x) : embedding_.as_linear(x);
  }
  /** x [n, dim] of the last layer -> [n, vocab_size] */
  mx::array logits(const mx::array& x) const { return head(norm(x)); }

 private:
  int vocab_size_;
  Embedding embedding_;
  RmsNorm norm_;
  std::optional<Linear> head_;
};

/** x [T, dim] after all layers, the rows of it that are asked for:
 *  x = run(layer, x, batch, its cache) of each in turn, in the bounded memory
 *  of a Pace. Where the batch wants no logits, the last layer is queued only
 *  as far as the caches need it. */
template <class Layer, class Run>
mx::array run_layers(const std::vector<Layer>& layers, mx::array x,
                     const Batch& batch, Cache& cache, const Run& run,
                     ResultRows rows = ResultRows::kOutput) {
  Pace pace(batch);
  const std::size_t last = layers.size() - 1;
  for (std::size_t i = 0; i < last; ++i) {
    x = run(layers[i], x, batch, cache.layer(static_cast<int>(i)));
    pace(x);
  }
  LayerCache& last_cache = cache.layer(static_cast<int>(last));
  if (batch.output_rows.empty() && rows == ResultRows::kOutput)
    return output_rows(run(layers[last], x, batch, last_cache), batch);
  return run(layers[last], x, batch.with_result(rows), last_cache);
}

/** Drops what no model needs: stored rotary frequencies and, where it is tied,
 *  the head. */
void ignore_leftovers(Weights& weights, bool tied);

}  // namespace skua
