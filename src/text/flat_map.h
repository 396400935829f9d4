#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace skua {

/** Hash map from 64-bit keys (all but ~0) to 64-bit values, insert-only,
 *  open addressing: the merge table and trie edges of tokenizers. */
class FlatMap {
 public:
  explicit FlatMap(std::size_t n_expected = 0) { resize(n_expected); }

  /** Adds or replaces. */
  void set(std::uint64_t key, std::uint64_t value) {
    if ((n_ + 1) * 2 > entries_.size()) grow();
    Entry& entry = entries_[slot(key)];
    if (entry.key == kFree) ++n_;
    entry = {key, value};
  }

  /** Brings the place of a key into the cache, for a set soon. */
  void prefetch(std::uint64_t key) const {
    __builtin_prefetch(&entries_[first_slot(key)], 1);
  }

  const std::uint64_t* find(std::uint64_t key) const {
    const Entry& entry = entries_[slot(key)];
    return entry.key == key ? &entry.value : nullptr;
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Entry {
    std::uint64_t key, value;
  };

  void resize(std::size_t n_expected) {
    std::size_t n_slots = 16;
    while (n_slots < n_expected * 2) n_slots *= 2;
    entries_.assign(n_slots, {kFree, 0});
    n_ = 0;
  }

  void grow() {
    const FlatMap old = std::move(*this);
    resize(old.entries_.size());
    for (const Entry& entry : old.entries_)
      if (entry.key != kFree) set(entry.key, entry.value);
  }

  std::size_t first_slot(std::uint64_t key) const {
    std::uint64_t hash = key * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
    return (hash ^ hash >> 32) & (entries_.size() - 1);
  }

  std::size_t slot(std::uint64_t key) const {
    std::size_t at = first_slot(key);
    while (entries_[at].key != kFree && entries_[at].key != key)
      at = (at + 1) & (entries_.size() - 1);
    return at;
  }

  std::vector<Entry> entries_;
  std::size_t n_ = 0;
};

}  // namespace skua
