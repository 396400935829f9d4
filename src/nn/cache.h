#pragma once

#include <mlx/array.h>

#include <map>
#include <vector>

#include "kernels/attention.h"
#include "nn/batch.h"

namespace skua {

/** Keys and values of one layer for every sequence of a Cache. */
class LayerCache {
 public:
  explicit LayerCache(KvType kv_type) : kv_type_(kv_type) {}

  /** Appends k and v of the batch's rows and attends to all that precedes
   *  each row in its own sequence.
   *  q  [T, n_heads, key_dim]
   *  k  [T, n_kv_heads, key_dim]
   *  v  [T, n_kv_heads, value_dim]
   *  Returns [T, n_heads, value_dim]. */
  mx::array attend(const mx::array& q, const mx::array& k, const mx::array& v,
                   const Batch& batch, const AttentionOptions& options);

  /** The newest positions that a row sees; 0 where it sees all, or before the
   *  first step. */
  int window() const { return window_; }
  /** Null before the sequence's first step. */
  const KvCache* find(int sequence) const;

  void remove(int sequence) { sequences_.erase(sequence); }
  void fork(int from, int to, int length);
  /** Adds arrays that are ready once the state is. */
  void append_arrays(std::vector<mx::array>& arrays) const;
  std::size_t n_bytes() const;

 private:
  KvType kv_type_;
  int window_ = 0;
  std::map<int, KvCache> sequences_;
};

/** What a model remembers of each sequence. Positions are shared by all
 *  layers; rows past a sequence's length are free to be written again, so
 *  trimming and a failed step cost nothing. */
class Cache {
 public:
  /** Throws Unsupported for int8 where a GPU computes. */
  explicit Cache(int n_layers, KvType kv_type = KvType::kF32);

  /** Opens an empty sequence and returns its number. */
  int add_sequence();
  /** Forgets a sequence and frees its memory. */
  void remove(int sequence);
  /** A new sequence with a copy of all that `sequence` holds. */
  int fork(int sequence);
  /** Keeps the first `length` tokens. Throws InvalidInput if the sequence has
   *  fewer. */
  void trim(int sequence, int length);

  /** Tokens held. Throws InvalidInput for an unknown sequence. */
  int length(int sequence) const;
  LayerCache& layer(int i) { return layers_.at(i); }

  /** Throws InvalidInput unless each segment continues its sequence exactly
   *  and no sequence comes twice. */
  void check(const Batch& batch) const;
  /** Counts the batch's rows as held, once every layer has them. */
  void advance(const Batch& batch);

  /** Arrays that are ready once all state is, to evaluate without asking for
   *  logits. */
  std::vector<mx::array> arrays() const;
  /** Bytes of the state. */
  std::size_t n_bytes() const;

 private:
  std::vector<LayerCache> layers_;
  std::map<int, int> lengths_;
  int next_sequence_ = 0;
};

}  // namespace skua
