#include "nn/cache.h"

#include <set>
#include <string>

#include "kernels/oracle_attention.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {

mx::array LayerCache::attend(const mx::array& q, const mx::array& k,
                             const mx::array& v, const Batch& batch,
                             const AttentionOptions& options) {
  std::vector<AttentionSegment> segments;
  if (OracleScope::is_active()) {
    for (const Segment& s : batch.segments)
      segments.push_back({s.first_row, s.n_rows, s.position});
    return oracle_attention(q, k, v, segments, options);
  }
  window_ = options.window;
  std::vector<KvCache> caches;
  for (const Segment& s : batch.segments) {
    auto found = sequences_.find(s.sequence);
    if (found == sequences_.end()) {
      const KvCache empty(kv_type_, k.shape(1), k.shape(2), v.shape(2));
      found = sequences_.emplace(s.sequence, empty).first;
    }
    segments.push_back({s.first_row, s.n_rows, s.position});
    caches.push_back(found->second);
  }
  return append_and_attend(q, k, v, segments, caches, options);
}

const KvCache* LayerCache::find(int sequence) const {
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() ? nullptr : &found->second;
}

void LayerCache::fork(int from, int to, int length) {
  const auto found = sequences_.find(from);
  if (found != sequences_.end())
    sequences_.emplace(to, found->second.copy(length));
}

void LayerCache::append_arrays(std::vector<mx::array>& arrays) const {
  for (const auto& [sequence, cache] : sequences_) cache.append_arrays(arrays);
}

std::size_t LayerCache::n_bytes() const {
  std::size_t total = 0;
  for (const auto& [sequence, cache] : sequences_) total += cache.n_bytes();
  return total;
}

Cache::Cache(int n_layers, KvType kv_type)
    : layers_(static_cast<std::size_t>(n_layers), LayerCache(kv_type)) {
  if (kv_type == KvType::kInt8 && !runs_on_cpu())
    throw Unsupported("cache", "keys and values of int8 are for the CPU");
}

int Cache::add_sequence() {
  lengths_.emplace(next_sequence_, 0);
  return next_sequence_++;
}

void Cache::remove(int sequence) {
  lengths_.erase(sequence);
  for (LayerCache& layer : layers_) layer.remove(sequence);
}

int Cache::fork(int sequence) {
  const int held = length(sequence);
  const int copy = add_sequence();
  for (LayerCache& layer : layers_) layer.fork(sequence, copy, held);
  lengths_[copy] = held;
  return copy;
}

void Cache::trim(int sequence, int length) {
  const int held = this->length(sequence);
  if (length < 0 || length > held) {
    throw InvalidInput("cache", "length to keep is " + std::to_string(length) +
                                    ", expected 0 to " + std::to_string(held));
  }
  lengths_[sequence] = length;
}

int Cache::length(int sequence) const {
  const auto found = lengths_.find(sequence);
  if (found == lengths_.end()) {
    throw InvalidInput("cache",
                       "there is no sequence " + std::to_string(sequence));
  }
  return found->second;
}

void Cache::check(const Batch& batch) const {
  std::set<int> seen;
  for (const Segment& s : batch.segments) {
    if (!seen.insert(s.sequence).second) {
      throw InvalidInput(
          "batch", "sequence " + std::to_string(s.sequence) + " comes twice");
    }
    if (s.position != length(s.sequence) || s.n_rows <= 0) {
      throw InvalidInput("batch", "sequence " + std::to_string(s.sequence) +
                                      " gets " + std::to_string(s.n_rows) +
                                      " rows at position " +
                                      std::to_string(s.position) +
                                      ", expected at least one at " +
                                      std::to_string(length(s.sequence)));
    }
  }
}

void Cache::advance(const Batch& batch) {
  for (const Segment& s : batch.segments)
    lengths_.at(s.sequence) = s.position + s.n_rows;
}

std::vector<mx::array> Cache::arrays() const {
  std::vector<mx::array> all;
  for (const LayerCache& layer : layers_) layer.append_arrays(all);
  return all;
}

std::size_t Cache::n_bytes() const {
  std::size_t total = 0;
  for (const LayerCache& layer : layers_) total += layer.n_bytes();
  return total;
}

}  // namespace skua
