#include "text/char_set.h"

#include <algorithm>

namespace skua {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kBeforeSurrogates = 0xD7FF, kBehindSurrogates = 0xE000;

// Adds [low, high] without the surrogates.
void add_scalars(std::vector<CharRange>& ranges, char32_t low, char32_t high) {
  high = std::min(high, kLast);
  if (low <= kBeforeSurrogates && low <= high)
    ranges.push_back({low, std::min(high, kBeforeSurrogates)});
  low = std::max(low, kBehindSurrogates);
  if (low <= high) ranges.push_back({low, high});
}

}  // namespace

CharSet::CharSet(std::vector<CharRange> ranges) {
  std::vector<CharRange> scalars;
  for (const auto [low, high] : ranges) add_scalars(scalars, low, high);
  std::sort(scalars.begin(), scalars.end(),
            [](const auto& a, const auto& b) { return a.low < b.low; });
  for (const auto& range : scalars) {
    if (!ranges_.empty() && range.low <= ranges_.back().high + 1) {
      ranges_.back().high = std::max(ranges_.back().high, range.high);
    } else {
      ranges_.push_back(range);
    }
  }
}

bool CharSet::contains(char32_t c) const {
  const auto after = std::upper_bound(
      ranges_.begin(), ranges_.end(), c,
      [](char32_t value, const CharRange& range) { return value < range.low; });
  return after != ranges_.begin() && c <= (after - 1)->high;
}

bool CharSet::is_single() const {
  return ranges_.size() == 1 && ranges_[0].low == ranges_[0].high;
}

CharSet CharSet::complement() const {
  std::vector<CharRange> gaps;
  char32_t next = 0;
  for (const auto [low, high] : ranges_) {
    if (low > next) gaps.push_back({next, low - 1});
    next = high + 1;
  }
  if (next <= kLast) gaps.push_back({next, kLast});
  return CharSet(std::move(gaps));
}

CharSet CharSet::operator|(const CharSet& other) const {
  std::vector<CharRange> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(all));
}

CharSet CharSet::operator&(const CharSet& other) const {
  std::vector<CharRange> common;
  auto a = ranges_.begin(), b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const char32_t low = std::max(a->low, b->low);
    const char32_t high = std::min(a->high, b->high);
    if (low <= high) common.push_back({low, high});
    (a->high < b->high) ? ++a : ++b;
  }
  return CharSet(std::move(common));
}

}  // namespace skua
