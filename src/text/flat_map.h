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
    if ((n_ + 1) * 2 > keys_.size()) grow();
    const std::size_t at = slot(key);
    if (keys_[at] == kFree) ++n_;
    keys_[at] = key;
    values_[at] = value;
  }

  const std::uint64_t* find(std::uint64_t key) const {
    const std::size_t at = slot(key);
    return keys_[at] == key ? &values_[at] : nullptr;
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};

  void resize(std::size_t n_expected) {
    std::size_t n_slots = 16;
    while (n_slots < n_expected * 2) n_slots *= 2;
    keys_.assign(n_slots, kFree);
    values_.assign(n_slots, 0);
    n_ = 0;
  }

  void grow() {
    const FlatMap old = std::move(*this);
    resize(old.keys_.size());
    for (std::size_t i = 0; i < old.keys_.size(); ++i)
      if (old.keys_[i] != kFree) set(old.keys_[i], old.values_[i]);
  }

  std::size_t slot(std::uint64_t key) const {
    std::uint64_t hash = key * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
    std::size_t at = (hash ^ hash >> 32) & (keys_.size() - 1);
    while (keys_[at] != kFree && keys_[at] != key)
      at = (at + 1) & (keys_.size() - 1);
    return at;
  }

  std::vector<std::uint64_t> keys_;
  std::vector<std::uint64_t> values_;
  std::size_t n_ = 0;
};

}  // namespace skua
