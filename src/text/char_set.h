#pragma once

#include <vector>

namespace skua {

struct CharRange {
  char32_t low, high;  // both included
  bool operator==(const CharRange&) const = default;
};

/** A set of Unicode scalar values: sorted ranges with gaps between them.
 *  Surrogates are never in it. */
class CharSet {
 public:
  CharSet() = default;
  /** Ranges in any order, which may overlap. */
  explicit CharSet(std::vector<CharRange> ranges);
  static CharSet any() { return CharSet({{0, 0x10FFFF}}); }
  static CharSet of(char32_t c) { return CharSet({{c, c}}); }

  const std::vector<CharRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t c) const;
  /** Whether it has just one member. */
  bool is_single() const;

  CharSet complement() const;
  CharSet operator|(const CharSet& other) const;
  CharSet operator&(const CharSet& other) const;
  bool operator==(const CharSet&) const = default;

 private:
  std::vector<CharRange> ranges_;
};

}  // namespace skua
