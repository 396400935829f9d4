#pragma once

#include <mlx/array.h>

#include <functional>
#include <string>

#include "models/config.h"
#include "nn/batch.h"
#include "nn/cache.h"

namespace skua {

/** A head for multi-token prediction: a layer that a checkpoint brings beside
 *  its model, which guesses the token after the next from what the model made
 *  of a token and from the token that followed. Const once loaded.
 *  Source: DeepSeek-V3, arXiv 2412.19437, section 2.2. */
class MtpHead {
 public:
  /** Of the rows that the batch wants. */
  struct Step {
    mx::array logits;  // [n, V] float32, of the token after the next
    mx::array hidden;  // [n, D], in the place of the model's for another guess
  };

  virtual ~MtpHead() = default;
  MtpHead() = default;
  MtpHead(const MtpHead&) = delete;
  MtpHead& operator=(const MtpHead&) = delete;

  /** One step: appends the batch's rows to their sequences in a cache of
   *  make_cache(). Its positions may count from any token of the text.
   *  ids     [T] int32, each the token that follows its row's
   *  hidden  [T, D], of CausalLM::forward_with_hidden or of a Step
   *  Throws InvalidInput if they do not fit together; the cache is then as it
   *  was. */
  Step forward(const mx::array& ids, const mx::array& hidden,
               const Batch& batch, Cache& cache) const;

  Cache make_cache(const CacheOptions& options = {}) const {
    return Cache(1, options);
  }

  /** D of the hidden states. */
  virtual int dim() const = 0;

 private:
  virtual Step step(const mx::array& ids, const mx::array& hidden,
                    const Batch& batch, LayerCache& cache) const = 0;
};

/** Tells by their names the tensors of such heads, which a model alone does not
 *  use: by a part of the name, or by the layer where num_nextn_predict_layers
 *  says that some follow the model's own. Throws InvalidInput as Config does.
 */
std::function<bool(const std::string&)> mtp_tensors(const Config& config);

}  // namespace skua
