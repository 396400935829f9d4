#include "text/token_trie.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace skua {
namespace {

// Bytes that do not continue a character.
std::uint16_t count_chars(std::string_view bytes) {
  const auto n = std::ranges::count_if(
      bytes, [](char byte) { return (byte & 0xC0) != 0x80; });
  return static_cast<std::uint16_t>(
      std::min<std::ptrdiff_t>(n, TokenTrie::kManyChars));
}

}  // namespace

TokenTrie::TokenTrie(std::span<const std::string> tokens) : ends_{0} {
  n_chars_.reserve(tokens.size());
  for (const std::string& token : tokens) {
    if (!token.empty())
      ids_.push_back(static_cast<std::int32_t>(n_chars_.size()));
    text_ += token;
    ends_.push_back(static_cast<std::uint32_t>(text_.size()));
    n_chars_.push_back(count_chars(token));
    most_bytes_ =
        std::max(most_bytes_, static_cast<std::int32_t>(token.size()));
  }
  ids_by_n_chars_ = ids_;
  std::ranges::sort(ids_, {}, [this](std::int32_t id) { return bytes(id); });
  std::ranges::sort(ids_by_n_chars_, std::greater(),
                    [this](std::int32_t id) { return n_chars_[id]; });
  add_nodes();
  find_most_chars();
}

void TokenTrie::add_nodes() {
  std::vector<std::uint32_t> path = {0};  // nodes from the root
  nodes_.push_back(
      {.end = 0, .first = 0, .depth = 0, .most_chars = 0, .byte = 0});
  const auto close = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back())
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
  };
  std::string_view last;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const std::string_view token = bytes(ids_[i]);
    const auto common = std::ranges::mismatch(token, last).in1 - token.begin();
    close(static_cast<std::size_t>(common));
    for (std::size_t depth = path.size(); depth <= token.size(); ++depth) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({.end = 0,
                        .first = static_cast<std::uint32_t>(i),
                        .depth = static_cast<std::uint32_t>(depth),
                        .most_chars = 0,
                        .byte = static_cast<std::uint8_t>(token[depth - 1])});
    }
    last = token;
  }
  close(0);
  nodes_[0].end = static_cast<std::uint32_t>(nodes_.size());
}

void TokenTrie::find_most_chars() {
  std::vector<std::uint32_t> path, parents;
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    path.resize(nodes_[i].depth);
    parents.push_back(path.empty() ? 0 : path.back());
    path.push_back(i);
    for (const auto id : tokens_of(i))
      nodes_[i].most_chars = std::max(nodes_[i].most_chars, n_chars_[id]);
  }
  for (std::size_t i = nodes_.size(); i-- > 1;) {
    auto& most = nodes_[parents[i]].most_chars;
    most = std::max(most, nodes_[i].most_chars);
  }
}

std::string_view TokenTrie::bytes(std::int32_t id) const {
  const auto i = static_cast<std::size_t>(id);
  const std::uint32_t begin = ends_.at(i);
  return std::string_view(text_).substr(begin, ends_.at(i + 1) - begin);
}

void TokenTrie::clear_longer(std::int32_t n,
                             std::span<std::uint32_t> bits) const {
  for (const auto id : ids_by_n_chars_) {
    if (n_chars_[id] <= n) break;
    bits[id / 32] &= ~(std::uint32_t{1} << (id % 32));
  }
}

}  // namespace skua
