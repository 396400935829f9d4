#include "nn/state_cache.h"

#include <mlx/mlx.h>

#include <iterator>

#include "skua/error.h"

namespace skua {

std::vector<mx::array> StateCache::find(int sequence, int position) const {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return {};
  const auto at = found->second.find(position);
  return at == found->second.end() ? std::vector<mx::array>()
                                   : at->second.arrays;
}

std::optional<mx::array> StateCache::get(int sequence, int position,
                                         int slot) const {
  if (position == 0) return std::nullopt;
  const std::vector<mx::array> arrays = find(sequence, position);
  const auto i = static_cast<std::size_t>(slot);
  if (i < arrays.size()) return arrays[i];
  throw Error("cache", "sequence " + std::to_string(sequence) +
                           " has no state after " + std::to_string(position) +
                           " tokens, expected one of " + lengths(sequence));
}

void StateCache::set(int sequence, int position, int slot,
                     const mx::array& value) {
  auto& arrays = sequences_[sequence][position].arrays;
  const auto i = static_cast<std::size_t>(slot);
  if (i > arrays.size()) throw Error("cache", "a state lacks earlier slots");
  // A view would hold on to all rows of the step.
  const mx::array own = mx::contiguous(value);
  if (i == arrays.size())
    arrays.push_back(own);
  else
    arrays[i] = own;
}

void StateCache::begin(const Segment& segment) {
  trim(segment.sequence, segment.position);
  const auto found = sequences_.find(segment.sequence);
  if (found == sequences_.end()) return;
  std::erase_if(found->second, [&](const auto& one) {
    return one.first < segment.position && !one.second.marked;
  });
}

void StateCache::trim(int sequence, int length) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  Snapshots& snapshots = found->second;
  snapshots.erase(snapshots.upper_bound(length), snapshots.end());
  if (snapshots.empty()) sequences_.erase(found);
}

void StateCache::mark(int sequence, int position) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  Snapshots& snapshots = found->second;
  const auto at = snapshots.find(position);
  if (at == snapshots.end()) return;
  at->second.marked = true;
  int n = 0;
  for (auto i = snapshots.rbegin(); i != snapshots.rend(); ++i)
    if (i->second.marked && ++n > kMostMarks) i->second.marked = false;
}

int StateCache::trim_point(int sequence, int length) const {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return length;
  const auto next = found->second.upper_bound(length);
  return next == found->second.begin() ? 0 : std::prev(next)->first;
}

std::string StateCache::lengths(int sequence) const {
  std::string text;
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return "0";
  for (const auto& [position, snapshot] : found->second)
    text += (text.empty() ? "" : ", ") + std::to_string(position);
  return text;
}

void StateCache::fork(int from, int to, int length) {
  const auto found = sequences_.find(from);
  if (found == sequences_.end()) return;
  const Snapshots copy = found->second;
  sequences_[to] = copy;
  trim(to, length);
}

void StateCache::append_arrays(std::vector<mx::array>& arrays) const {
  for (const auto& [sequence, snapshots] : sequences_)
    for (const auto& [position, snapshot] : snapshots)
      arrays.insert(arrays.end(), snapshot.arrays.begin(),
                    snapshot.arrays.end());
}

std::size_t StateCache::n_bytes() const {
  std::vector<mx::array> arrays;
  append_arrays(arrays);
  std::size_t total = 0;
  for (const mx::array& x : arrays) total += x.nbytes();
  return total;
}

}  // namespace skua
