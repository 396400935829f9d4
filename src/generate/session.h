#pragma once

#include <mlx/array.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/model.h"

namespace skua {

/** One sequence and its part of a cache: what is fed and what the cache holds.
 *  Sessions of one cache can take a step together. Calls may follow each other
 *  in any order. To be used on the thread that owns MLX. */
class Session {
 public:
  /** 512 tokens take 50 MB more on a model of 1B for 4 % of the speed. */
  static constexpr int kChunk = 288;

  /** model    outlives the session
   *  context  most tokens the sequence may have; 0 for no limit
   *  chunk    tokens in one step of a prefill
   *  kv_type  how the cache stores keys and values */
  explicit Session(const CausalLM& model, int context = 0, int chunk = kChunk,
                   KvType kv_type = KvType::kF32);
  /** A sequence of a cache that sessions share. */
  Session(const CausalLM& model, std::shared_ptr<Cache> cache, int context,
          int chunk = kChunk);
  ~Session();
  Session(Session&&) noexcept = default;
  Session& operator=(Session&& other) noexcept;

  /** Appends ids and returns the logits after the last, [V] float32, not yet
   *  evaluated. Called after each chunk, `progress` may return false to
   *  stop: the tokens fed so far stay, and the logits are those after them.
   *  Throws InvalidInput for no ids, an id outside the vocabulary, or more
   *  than the context holds; nothing is fed then. */
  mx::array prefill(std::span<const std::int32_t> ids,
                    const std::function<bool(int n_done)>& progress = {});

  /** prefill of one token. */
  mx::array decode(std::int32_t id) { return prefill({&id, 1}); }

  /** How many of `ids` extend_to would not have to feed: as many as they have
   *  in common, or fewer where a layer has given up what would be seen from
   *  there (see rewind). */
  std::size_t n_common(std::span<const std::int32_t> ids) const;

  /** Makes the sequence `ids`, keeping what it has in common with them (at
   *  least the last token is fed again), and marks it. Returns and throws as
   *  prefill. */
  mx::array extend_to(std::span<const std::int32_t> ids,
                      const std::function<bool(int n_done)>& progress = {});

  /** Forgets all but the first n_tokens, and more where a layer has given up
   *  what would be seen from there: windows then begin anew, recurrent layers
   *  go back to a state that they kept. tokens() says what is left. Throws
   *  InvalidInput if there are fewer tokens; nothing is forgotten then. */
  void rewind(int n_tokens);
  /** Wants to come back here: see Cache::mark. */
  void mark();

  /** An independent copy, in the same cache. */
  Session fork() const;

  /** A step that is taken together with other sessions of the cache: adds the
   *  next n tokens to the batch before the model's forward, and counts them as
   *  fed once it is done. n_ahead more are in a step that still runs. */
  void add_to(Batch& batch, int n, int n_ahead = 0) const;
  void fed(std::span<const std::int32_t> ids);
  /** Forgets what a step that failed has left in the cache, as rewind. */
  void recover();

  const std::vector<std::int32_t>& tokens() const { return tokens_; }
  int context() const { return context_; }
  int chunk() const { return chunk_; }
  Cache& cache() const { return *cache_; }
  int sequence() const { return sequence_; }

 private:
  // For ids that are to follow n_before others.
  void check(std::span<const std::int32_t> ids, std::size_t n_before) const;

  const CausalLM* model_;
  int context_;
  int chunk_;
  std::shared_ptr<Cache> cache_;  // null once moved from
  int sequence_;
  std::vector<std::int32_t> tokens_;  // all of them are in the cache
};

}  // namespace skua
