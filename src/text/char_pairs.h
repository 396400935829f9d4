#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/flat_map.h"
#include "text/vocabulary.h"

namespace skua {

/** The pairs of neighbouring characters inside the tokens of a vocabulary.
 *  No merge goes over two characters that are not among them, so that what
 *  lies on both sides can be encoded apart. */
class CharPairs {
 public:
  CharPairs() = default;
  explicit CharPairs(const Vocabulary& vocabulary);

  bool empty() const { return !known_; }
  bool has(char32_t left, char32_t right) const {
    if (left < kAscii && right < kAscii) return ascii_[left * kAscii + right];
    return others_.find(std::uint64_t{left} << 32 | right) != nullptr;
  }
  /** The end of the part of `text` that starts at `at` and that no token
   *  reaches over. */
  std::size_t part_end(std::string_view text, std::size_t at) const;

 private:
  static constexpr char32_t kAscii = 128;

  bool known_ = false;
  std::bitset<kAscii * kAscii> ascii_;
  FlatMap others_;
};

}  // namespace skua
