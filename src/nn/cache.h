#pragma once

#include <mlx/array.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "nn/batch.h"
#include "nn/state_cache.h"

namespace skua {

struct CacheOptions {
  KvType kv_type = KvType::kF32;
  /** Tokens that a row sees: the first `keep` and the newest of the others.
   *  Older ones are given up. 0: all. Layers whose own window is not larger
   *  keep to that. */
  int max_size = 0;
  int keep = 4;
  /** Tokens from this one on, rounded up to a multiple of 256, are held as
   *  `quantized_type`: kInt8 or kInt4. */
  int quantize_from = KvCache::kNever;
  KvType quantized_type = KvType::kInt8;

  bool quantizes() const {
    return cpu::is_quantized(kv_type) || quantize_from < KvCache::kNever;
  }
};

/** What one layer holds of every sequence of a Cache: keys and values, or the
 *  state of a recurrence. A layer with a window gives up what no row sees after
 *  the step at hand: it holds the window and the step, rounded up to 256
 *  positions at either end. */
class LayerCache {
 public:
  explicit LayerCache(const CacheOptions& options) : options_(options) {}

  /** Appends k and v of the batch's rows and attends to all that precedes
   *  each row in its own sequence.
   *  q  [T, n_heads, key_dim]
   *  k  [T, n_kv_heads, key_dim]
   *  v  [T, n_kv_heads, value_dim]
   *  Returns [T, n_heads, value_dim]. */
  mx::array attend(const mx::array& q, const mx::array& k, const mx::array& v,
                   const Batch& batch, const AttentionOptions& options);

  /** The newest positions that a row sees, and the first ones it sees beside
   *  them; 0 and 0 where it sees all, or before the first step. */
  int window() const { return window_; }
  int keep() const { return keep_; }
  /** The greatest length up to `length` from which on rows find what they
   *  see. */
  int trim_point(int sequence, int length) const;
  /** Why that is not `length`. */
  std::string refusal(int sequence) const;
  /** Null before the sequence's first step. */
  const KvCache* find(int sequence) const;

  /** Of a recurrent layer; empty in others. */
  StateCache& states() { return states_; }
  const StateCache& states() const { return states_; }

  void remove(int sequence);
  void fork(int from, int to, int length);
  /** Adds arrays that are ready once the state is. */
  void append_arrays(std::vector<mx::array>& arrays) const;
  std::size_t n_bytes() const;

 private:
  CacheOptions options_;
  int window_ = 0;
  int keep_ = 0;
  std::map<int, KvCache> sequences_;
  StateCache states_;
};

/** What a model remembers of each sequence. Positions are shared by all
 *  layers and count on where older tokens are given up; rows past a
 *  sequence's length are free to be written again, so trimming and a failed
 *  step cost nothing. The options concern layers with keys and values. */
class Cache {
 public:
  /** Throws InvalidInput unless 0 <= keep < max_size (or max_size is 0) and
   *  quantize_from >= 0 and quantized_type is one; Unsupported for int8 and
   *  int4 where a GPU computes. */
  explicit Cache(int n_layers, const CacheOptions& options = {});
  Cache(int n_layers, KvType kv_type)
      : Cache(n_layers, CacheOptions{.kv_type = kv_type}) {}

  /** Opens an empty sequence and returns its number. */
  int add_sequence();
  /** Forgets a sequence and frees its memory. */
  void remove(int sequence);
  /** A new sequence with a copy of all that `sequence` holds. */
  int fork(int sequence);
  /** Whether trim would succeed: every layer has what the rows from `length`
   *  on see. Down to the start of the newest step, and for 0, it always does.
   *  Throws InvalidInput for an unknown sequence. */
  bool can_trim(int sequence, int length) const;
  /** Keeps the first `length` tokens. Throws InvalidInput if the sequence has
   *  fewer, or that names the first layer that has given up what it would
   *  need; nothing is trimmed then. */
  void trim(int sequence, int length);
  /** The greatest length up to `length` that trim takes, which may be 0.
   *  Throws InvalidInput for an unknown sequence or a length it has not. */
  int trim_point(int sequence, int length) const;
  /** Lets layers that keep but a few states keep that after `length` tokens,
   *  if it is there, until two later ones are marked. */
  void mark(int sequence, int length);

  /** Tokens held. Throws InvalidInput for an unknown sequence. */
  int length(int sequence) const;
  const CacheOptions& options() const { return options_; }
  int n_layers() const { return static_cast<int>(layers_.size()); }
  LayerCache& layer(int i) { return layers_.at(i); }
  const LayerCache& layer(int i) const { return layers_.at(i); }
  /** Counts `length` tokens as held, once KvCache::restore gave them to every
   *  layer. Throws InvalidInput where a layer lacks what the next row sees. */
  void set_length(int sequence, int length);

  /** Throws InvalidInput unless each segment continues its sequence exactly
   *  and no sequence comes twice. */
  void check(const Batch& batch) const;
  /** Before the layers take the batch: see StateCache::begin. */
  void begin(const Batch& batch);
  /** Counts the batch's rows as held, once every layer has them. */
  void advance(const Batch& batch);

  /** Arrays that are ready once all state is, to evaluate without asking for
   *  logits. */
  std::vector<mx::array> arrays() const;
  /** Bytes of the state. */
  std::size_t n_bytes() const;

 private:
  void check_length(int sequence, int length) const;
  // Why the sequence cannot be trimmed; empty where it can.
  std::string refusal(int sequence, int length) const;

  CacheOptions options_;
  std::vector<LayerCache> layers_;
  std::map<int, int> lengths_;
  int next_sequence_ = 0;
};

}  // namespace skua
