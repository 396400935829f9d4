#pragma once

#include <algorithm>
#include <utility>
#include <vector>

namespace skua::jinja {

/** Sorts stably by merging. Unlike std::sort it stays inside the vector for a
 *  `less` that is no order, which NaN makes of Python's `<`. */
template <typename T, typename Less>
void merge_sort(std::vector<T>& items, Less less) {
  std::vector<T> merged(items.size());
  for (std::size_t width = 1; width < items.size(); width *= 2) {
    for (std::size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const std::size_t middle = std::min(begin + width, items.size());
      const std::size_t end = std::min(middle + width, items.size());
      std::size_t a = begin;
      std::size_t b = middle;
      for (std::size_t out = begin; out < end; ++out) {
        const bool right = a == middle || (b < end && less(items[b], items[a]));
        merged[out] = std::move(items[right ? b++ : a++]);
      }
    }
    items.swap(merged);
  }
}

}  // namespace skua::jinja
