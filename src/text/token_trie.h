#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** The tokens of a vocabulary as a trie of their bytes. Node 0 is the root;
 *  the nodes below a node follow it, so that a walk is a loop. */
class TokenTrie {
 public:
  struct Node {
    std::uint32_t end;         // the first node that is not below this one
    std::uint32_t first;       // its tokens begin here in the order of the trie
    std::uint32_t depth;       // bytes to here
    std::uint16_t most_chars;  // of the tokens here and below
    std::uint8_t byte;         // the last one
  };
  /** Counts of characters are cut to this. */
  static constexpr std::int32_t kManyChars = 0xFFFF;

  /** tokens  their bytes by id; empty ones are left out */
  explicit TokenTrie(std::span<const std::string> tokens);

  const std::vector<Node>& nodes() const { return nodes_; }
  /** The tokens that end in a node. */
  std::span<const std::int32_t> tokens_of(std::size_t node) const {
    return tokens_between(node, node + 1);
  }
  /** The tokens that end in a node or below it. */
  std::span<const std::int32_t> tokens_below(std::size_t node) const {
    return tokens_between(node, nodes_[node].end);
  }

  std::int32_t size() const {
    return static_cast<std::int32_t>(ends_.size()) - 1;
  }
  /** Of a token; throws std::out_of_range where there is none. */
  std::string_view bytes(std::int32_t id) const;
  std::int32_t most_bytes() const { return most_bytes_; }

  /** Clears the bits of all tokens with more than n characters. */
  void clear_longer(std::int32_t n, std::span<std::uint32_t> bits) const;

 private:
  std::span<const std::int32_t> tokens_between(std::size_t from,
                                               std::size_t to) const {
    const std::size_t begin = nodes_[from].first;
    const std::size_t end = to < nodes_.size() ? nodes_[to].first : ids_.size();
    return std::span(ids_).subspan(begin, end - begin);
  }
  void add_nodes();
  void find_most_chars();

  std::string text_;                 // all tokens
  std::vector<std::uint32_t> ends_;  // of token i - 1 in the text
  std::vector<Node> nodes_;
  std::vector<std::int32_t> ids_;             // in the order of the trie
  std::vector<std::uint16_t> n_chars_;        // by id
  std::vector<std::int32_t> ids_by_n_chars_;  // those with many first
  std::int32_t most_bytes_ = 0;
};

}  // namespace skua
