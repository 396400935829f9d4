#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace skua {

/** Finds the texts of a fixed set that a text starts with. */
class Trie {
 public:
  Trie() : Trie(std::vector<std::pair<std::string_view, std::int32_t>>()) {}
  /** Texts with their values >= 0; empty ones are left out, of equal ones
   *  the last counts. */
  explicit Trie(std::vector<std::pair<std::string_view, std::int32_t>> items);

  bool empty() const { return nodes_.size() == 1; }
  std::uint32_t root() const { return 0; }
  /** The node behind `byte`; 0 where there is none. */
  std::uint32_t child(std::uint32_t node, char byte) const {
    const auto label = static_cast<std::uint8_t>(byte);
    if (node == 0) return first_[label];
    const Node& parent = nodes_[node];
    for (std::uint32_t i = 0; i < parent.n_children; ++i)
      if (nodes_[parent.children + i].label == label)
        return parent.children + i;
    return 0;
  }
  /** The value of the text that ends at `node`, or -1. */
  std::int32_t value(std::uint32_t node) const { return nodes_[node].value; }
  /** The node behind `text`; 0 where there is none. */
  std::uint32_t walk(std::string_view text) const;

  struct Match {
    std::int32_t value = -1;
    std::size_t n_bytes = 0;
  };
  /** The longest text that `text[at...]` continues `from` with. */
  Match longest(std::string_view text, std::size_t at,
                std::uint32_t from = 0) const;

 private:
  struct Node {
    std::int32_t value = -1;
    std::uint32_t children = 0;  // the first; they follow each other
    std::uint16_t n_children = 0;
    std::uint8_t label = 0;
  };

  std::vector<Node> nodes_;
  std::array<std::uint32_t, 256> first_{};  // children of the root
};

}  // namespace skua
