#pragma once

#include <xgrammar/xgrammar.h>

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar.h"
#include "text/token_trie.h"

namespace skua {

/** The token masks of one grammar, by the state of its parser: found by a walk
 *  over the trie of all tokens, kept, and copied where the state comes again.
 *  Shared by matchers and threads; private to grammar*.cpp.
 *
 *  The walk is that of an automaton over states of the parser that is made as
 *  it goes (a lazily built DFA), so that the parser itself runs once for each
 *  pair of a state and a byte. */
class GrammarMasks {
 public:
  GrammarMasks(std::shared_ptr<const TokenTrie> tokens,
               const GrammarLimits& limits)
      : tokens_(std::move(tokens)), limits_(limits) {}

  const TokenTrie& tokens() const { return *tokens_; }

  /** Sets the bits of the tokens that may come next, clears the others.
   *  bits: [(tokens().size() + 31) / 32]. The matcher is left as it is. */
  void fill(xgrammar::GrammarMatcher& matcher, std::span<std::uint32_t> bits);

  std::size_t memory_bytes() const;

 private:
  using Digest = xgrammar::StateKey::Digest;
  struct DigestHash {
    std::size_t operator()(const Digest& digest) const { return digest[0]; }
  };
  struct Mask {
    Digest key;
    std::int32_t n_chars;  // right for tokens of so many characters
    std::vector<std::uint32_t> bits;
  };
  using Masks = std::list<Mask>;
  class Walk;

  const Mask* find(const Digest& key);
  void keep(const Digest& key, std::int32_t n_chars,
            std::span<const std::uint32_t> bits);

  const std::shared_ptr<const TokenTrie> tokens_;
  const GrammarLimits limits_;
  mutable std::mutex mutex_;
  Masks masks_;  // the last used first
  std::unordered_map<Digest, Masks::iterator, DigestHash> mask_of_;
  // The automaton: where each byte leads from a state.
  std::vector<std::array<std::int32_t, 256>> steps_;
  std::unordered_map<Digest, std::int32_t, DigestHash> state_of_;
};

}  // namespace skua
