#include "nn/cache.h"

#include <algorithm>
#include <set>
#include <string>

#include "kernels/oracle_attention.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {

mx::array LayerCache::attend(const mx::array& q, const mx::array& k,
                             const mx::array& v, const Batch& batch,
                             const AttentionOptions& options) {
  AttentionOptions o = options;
  const int most = options_.max_size;
  if (most != 0 && (o.window == 0 || o.window > most)) {
    o.window = most - options_.keep;
    o.keep = options_.keep;
  }
  window_ = o.window;
  keep_ = o.keep;
  std::vector<AttentionSegment> segments;
  if (OracleScope::is_active()) {
    for (const Segment& s : batch.segments)
      segments.push_back({s.first_row, s.n_rows, s.position});
    return oracle_attention(q, k, v, segments, o);
  }
  std::vector<KvCache> caches;
  for (const Segment& s : batch.segments) {
    auto found = sequences_.find(s.sequence);
    if (found == sequences_.end()) {
      const KvCache empty(options_.kv_type, k.shape(1), k.shape(2), v.shape(2),
                          KvCache::default_layout(), options_.quantize_from,
                          options_.quantized_type);
      found = sequences_.emplace(s.sequence, empty).first;
    }
    const KvCache& cache = found->second;
    // One more than the first row sees: a trim to where the step began then
    // leaves a whole window.
    if (window_ != 0)
      cache.hold_only(keep_, s.position - window_, s.position + s.n_rows);
    segments.push_back({s.first_row, s.n_rows, s.position});
    caches.push_back(cache);
  }
  return append_and_attend(q, k, v, segments, caches, o);
}

const KvCache* LayerCache::find(int sequence) const {
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() ? nullptr : &found->second;
}

int LayerCache::trim_point(int sequence, int length) const {
  const KvCache* cache = find(sequence);
  const bool holds = cache == nullptr || window_ == 0 ||
                     (cache->holds(0, std::min(keep_, length)) &&
                      cache->holds(std::max(0, length - window_), length));
  return holds ? states_.trim_point(sequence, length) : 0;
}

std::string LayerCache::refusal(int sequence) const {
  if (find(sequence) == nullptr)
    return "holds states after " + states_.lengths(sequence) + " of them alone";
  const std::string kept =
      keep_ == 0 ? "" : "the first " + std::to_string(keep_) + " and ";
  return "sees " + kept + "the last " + std::to_string(window_) +
         " of them and has given up older ones";
}

void LayerCache::remove(int sequence) {
  sequences_.erase(sequence);
  states_.remove(sequence);
}

void LayerCache::fork(int from, int to, int length) {
  states_.fork(from, to, length);
  const auto found = sequences_.find(from);
  if (found != sequences_.end())
    sequences_.emplace(to, found->second.copy(length));
}

void LayerCache::append_arrays(std::vector<mx::array>& arrays) const {
  for (const auto& [sequence, cache] : sequences_) cache.append_arrays(arrays);
  states_.append_arrays(arrays);
}

std::size_t LayerCache::n_bytes() const {
  std::size_t total = states_.n_bytes();
  for (const auto& [sequence, cache] : sequences_) total += cache.n_bytes();
  return total;
}

Cache::Cache(int n_layers, const CacheOptions& options)
    : options_(options),
      layers_(static_cast<std::size_t>(n_layers), LayerCache(options)) {
  if (options.max_size != 0 &&
      (options.keep < 0 || options.keep >= options.max_size)) {
    throw InvalidInput("cache", "tokens kept of " +
                                    std::to_string(options.max_size) + " are " +
                                    std::to_string(options.keep) +
                                    ", expected at least 0 and fewer than all");
  }
  if (options.quantize_from < 0) {
    throw InvalidInput("cache", "first token to quantize is " +
                                    std::to_string(options.quantize_from) +
                                    ", expected at least 0");
  }
  if (!cpu::is_quantized(options.quantized_type))
    throw InvalidInput("cache", "type to quantize to is neither int8 nor int4");
  if (options.quantizes() && !runs_on_cpu()) {
    throw Unsupported("cache",
                      "keys and values of int8 and int4 are for the CPU");
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
  for (LayerCache& layer : layers_) layer.fork(sequence, copy, held);
  lengths_[copy] = held;
  return copy;
}

void Cache::check_length(int sequence, int length) const {
  const int held = this->length(sequence);
  if (length < 0 || length > held) {
    throw InvalidInput("cache", "length to keep is " + std::to_string(length) +
                                    ", expected 0 to " + std::to_string(held));
  }
}

void Cache::trim(int sequence, int length) {
  check_length(sequence, length);
  const std::string reason = refusal(sequence, length);
  if (!reason.empty()) throw InvalidInput("cache", reason);
  for (LayerCache& layer : layers_) layer.states().trim(sequence, length);
  lengths_[sequence] = length;
}

int Cache::trim_point(int sequence, int length) const {
  check_length(sequence, length);
  int before = -1;
  while (length != before && length != this->length(sequence)) {
    before = length;
    for (const LayerCache& layer : layers_)
      length = layer.trim_point(sequence, length);
  }
  return length;
}

void Cache::mark(int sequence, int length) {
  for (LayerCache& layer : layers_) layer.states().mark(sequence, length);
}

bool Cache::can_trim(int sequence, int length) const {
  const int held = this->length(sequence);
  return length >= 0 && length <= held && refusal(sequence, length).empty();
}

std::string Cache::refusal(int sequence, int length) const {
  if (length == this->length(sequence)) return "";
  for (int i = 0; i < n_layers(); ++i) {
    const LayerCache& one = layer(i);
    if (one.trim_point(sequence, length) == length) continue;
    return "sequence " + std::to_string(sequence) + " of " +
           std::to_string(this->length(sequence)) +
           " tokens cannot be trimmed to " + std::to_string(length) +
           ": layer " + std::to_string(i) + " " + one.refusal(sequence);
  }
  return "";
}

void Cache::set_length(int sequence, int length) {
  this->length(sequence);
  for (int i = 0; i < n_layers(); ++i) {
    if (layer(i).trim_point(sequence, length) == length) continue;
    throw InvalidInput(
        "cache", "layer " + std::to_string(i) + " lacks some of the last " +
                     std::to_string(layer(i).window()) + " or first " +
                     std::to_string(layer(i).keep()) +
                     " positions, which the next row sees");
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
    if (s.n_drafted < 0 || s.n_drafted >= s.n_rows) {
      throw InvalidInput("batch", "sequence " + std::to_string(s.sequence) +
                                      " has " + std::to_string(s.n_drafted) +
                                      " drafted rows, expected fewer than " +
                                      std::to_string(s.n_rows));
    }
  }
}

void Cache::begin(const Batch& batch) {
  for (LayerCache& layer : layers_)
    for (const Segment& s : batch.segments) layer.states().begin(s);
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
