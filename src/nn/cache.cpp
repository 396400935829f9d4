#include "nn/cache.h"

#include <mlx/mlx.h>

#include <set>
#include <string>

#include "skua/error.h"

namespace skua {
namespace {

constexpr int kSlab = 256;  // positions by which a cache grows

mx::array grow(const mx::array& cache, int capacity) {
  const auto room =
      mx::zeros({cache.shape(0), capacity - cache.shape(1), cache.shape(2)},
                cache.dtype());
  return mx::concatenate({cache, room}, 1);
}

}  // namespace

mx::array LayerCache::attend(const mx::array& q, const mx::array& k,
                             const mx::array& v, const Batch& batch,
                             const AttentionOptions& options) {
  std::vector<AttentionSegment> segments;
  std::vector<KeyValue> caches;
  for (const Segment& s : batch.segments) {
    const int capacity = (s.position + s.n_rows + kSlab - 1) / kSlab * kSlab;
    auto found = sequences_.find(s.sequence);
    if (found == sequences_.end()) {
      const auto room =
          mx::zeros({k.shape(1), capacity, k.shape(2)}, k.dtype());
      const auto more =
          mx::zeros({v.shape(1), capacity, v.shape(2)}, v.dtype());
      found = sequences_.emplace(s.sequence, KeyValue{room, more}).first;
    } else if (found->second.keys.shape(1) < capacity) {
      found->second = {grow(found->second.keys, capacity),
                       grow(found->second.values, capacity)};
    }
    segments.push_back({s.first_row, s.n_rows, s.position});
    caches.push_back(found->second);
  }
  Attended result = append_and_attend(q, k, v, segments, caches, options);
  for (std::size_t i = 0; i < segments.size(); ++i)
    sequences_.at(batch.segments[i].sequence) = result.caches[i];
  return result.out;
}

void LayerCache::fork(int from, int to) {
  const auto found = sequences_.find(from);
  if (found == sequences_.end()) return;
  // Computed now, as later steps write into the original's memory; mx::copy
  // would share it.
  const auto copied = [](const mx::array& a) {
    return mx::multiply(a, mx::array(1.0f, a.dtype()));
  };
  KeyValue copy{copied(found->second.keys), copied(found->second.values)};
  mx::eval({copy.keys, copy.values});
  sequences_.emplace(to, std::move(copy));
}

void LayerCache::append_arrays(std::vector<mx::array>& arrays) const {
  for (const auto& [sequence, cache] : sequences_) {
    arrays.push_back(cache.keys);
    arrays.push_back(cache.values);
  }
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
  for (LayerCache& layer : layers_) layer.fork(sequence, copy);
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
  for (const mx::array& a : arrays()) total += a.nbytes();
  return total;
}

}  // namespace skua
