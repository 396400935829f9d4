#pragma once

#include <mlx/array.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "models/config.h"
#include "nn/batch.h"
#include "nn/cache.h"
#include "nn/weights.h"

namespace skua {

class MtpHead;

/** A model that predicts the next token; const once loaded. */
class CausalLM {
 public:
  virtual ~CausalLM() = default;
  CausalLM() = default;
  CausalLM(const CausalLM&) = delete;
  CausalLM& operator=(const CausalLM&) = delete;

  /** One step: appends the batch's tokens to their sequences in the cache.
   *  ids  [T] int32
   *  Returns the logits [batch.output_rows.size(), vocab_size] in float32.
   *  Throws InvalidInput if ids, batch and cache do not fit together; the
   *  cache is then as it was. */
  mx::array forward(const mx::array& ids, const Batch& batch,
                    Cache& cache) const;

  struct Step {
    mx::array logits;  // as forward returns them
    mx::array hidden;  // [T, D] float32: what the output head reads of each row
  };
  /** The same for heads that go on from there. Throws Unsupported where the
   *  model has none, whatever was loaded. */
  Step forward_with_hidden(const mx::array& ids, const Batch& batch,
                           Cache& cache) const;

  /** Null unless the checkpoint has heads and they were asked for. */
  virtual const MtpHead* mtp() const { return nullptr; }

  virtual int n_layers() const = 0;
  virtual int vocab_size() const = 0;

  Cache make_cache(KvType kv_type = KvType::kF32) const {
    return Cache(n_layers(), kv_type);
  }
  Cache make_cache(const CacheOptions& options) const {
    return Cache(n_layers(), options);
  }

 private:
  virtual mx::array logits(const mx::array& ids, const Batch& batch,
                           Cache& cache) const = 0;
  virtual Step logits_and_hidden(const mx::array& ids, const Batch& batch,
                                 Cache& cache) const;
};

/** Throws InvalidInput that names `where` and the place of the first id that
 *  is not from 0 to vocab_size - 1. */
void check_ids(std::span<const std::int32_t> ids, int vocab_size,
               const std::string& where);

/** Throws InvalidInput unless ids [T] int32, the batch and its cache fit
 *  together. */
void check_step(const mx::array& ids, const Batch& batch, const Cache& cache);

/** How the models of an architecture are found and built. */
struct Architecture {
  std::string name;  // model_type in config.json
  std::unique_ptr<CausalLM> (*build)(const Config&, Weights&);
};

/** The architecture called `model_type`.
 *  Throws Unsupported that names those known. */
const Architecture& find_architecture(const std::string& model_type,
                                      const std::string& where);

}  // namespace skua
