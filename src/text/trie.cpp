#include "text/trie.h"

#include <algorithm>

namespace skua {
namespace {

// A node whose children are still to be made: the sorted items below it.
struct Open {
  std::uint32_t node;
  std::size_t begin, end, depth;
};

}  // namespace

Trie::Trie(std::vector<std::pair<std::string_view, std::int32_t>> items) {
  std::stable_sort(
      items.begin(), items.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  nodes_.emplace_back();
  std::vector<Open> open = {{0, 0, items.size(), 0}};
  for (std::size_t next = 0; next < open.size(); ++next) {
    auto [node, at, end, depth] = open[next];
    while (at < end && items[at].first.size() == depth) {
      if (depth > 0) nodes_[node].value = items[at].second;
      ++at;
    }
    nodes_[node].children = static_cast<std::uint32_t>(nodes_.size());
    while (at < end) {
      const char label = items[at].first[depth];
      std::size_t last = at;
      while (last < end && items[last].first[depth] == label) ++last;
      open.push_back(
          {static_cast<std::uint32_t>(nodes_.size()), at, last, depth + 1});
      nodes_.emplace_back().label = static_cast<std::uint8_t>(label);
      ++nodes_[node].n_children;
      at = last;
    }
  }
  for (std::uint32_t i = 0; i < nodes_[0].n_children; ++i)
    first_[nodes_[nodes_[0].children + i].label] = nodes_[0].children + i;
}

std::uint32_t Trie::walk(std::string_view text) const {
  std::uint32_t node = root();
  for (const char c : text) {
    node = child(node, c);
    if (node == 0) break;
  }
  return node;
}

Trie::Match Trie::longest(std::string_view text, std::size_t at,
                          std::uint32_t from) const {
  Match match;
  std::uint32_t node = from;
  for (std::size_t i = at; i < text.size(); ++i) {
    node = child(node, text[i]);
    if (node == 0) break;
    if (value(node) >= 0) match = {value(node), i + 1 - at};
  }
  return match;
}

}  // namespace skua
