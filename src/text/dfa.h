#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "text/char_set.h"

namespace skua {

/** A deterministic automaton over Unicode scalar values. State 0 is the start;
 *  what no edge takes is refused. Without states it accepts nothing. */
struct Dfa {
  struct Edge {
    CharRange range;
    std::int32_t target;
    bool operator==(const Edge&) const = default;
  };
  struct State {
    std::vector<Edge> edges;  // by range, disjoint
    bool accepts = false;
    bool operator==(const State&) const = default;
  };

  std::vector<State> states;

  bool empty() const { return states.empty(); }
  bool operator==(const Dfa&) const = default;
};

/** Automata of more states are refused with Unsupported. */
constexpr std::size_t kMaxDfaStates = 20000;

/** Every text, the empty one too. */
Dfa dfa_any();
/** Exactly these texts. */
Dfa dfa_words(const std::vector<std::u32string>& words);

/** What follows returns automata without states that lead nowhere, minimised
 *  where that is cheap. Throws Unsupported (see kMaxDfaStates). */
Dfa dfa_and(const Dfa& a, const Dfa& b);
Dfa dfa_or(const Dfa& a, const Dfa& b);
/** dfa_or of all of them. */
Dfa dfa_any_of(std::vector<Dfa> parts);
Dfa dfa_minus(const Dfa& a, const Dfa& b);
Dfa dfa_not(const Dfa& a);
/** Texts of at least `min` and, if max >= 0, at most `max` characters. */
Dfa dfa_length(std::int64_t min, std::int64_t max);

/** Removes states that are not reached or lead nowhere and joins equal ones.
 *  Time is bounded: a large automaton may keep some equal states. */
Dfa dfa_reduce(const Dfa& a);

bool dfa_accepts(const Dfa& a, const std::u32string& text);
/** Whether it accepts every text. */
bool dfa_is_any(const Dfa& a);

}  // namespace skua
