#pragma once

#include <cstdint>
#include <vector>

#include "text/char_set.h"
#include "text/dfa.h"

namespace skua {

/** A nondeterministic automaton with anchors, as Thompson builds it from a
 *  pattern (CACM 11/6, 1968), and its subset construction. */
class PatternNfa {
 public:
  enum class Step { kFree, kBegin, kEnd };

  /** Throws Unsupported for more than 200 000 states. */
  std::int32_t add_state();
  /** Goes without a character: always, only before the first one, or only
   *  behind the last one. */
  void add_step(std::int32_t from, std::int32_t to, Step step = Step::kFree);
  void add_chars(std::int32_t from, std::int32_t to, const CharSet& chars);

  /** The automaton from `start` to `accept`. Throws Unsupported where it gets
   *  too large. */
  Dfa determinise(std::int32_t start, std::int32_t accept) const;

 private:
  struct FreeEdge {
    std::int32_t target;
    Step step;
  };
  struct State {
    std::vector<FreeEdge> steps;
    std::vector<Dfa::Edge> chars;
  };
  using Set = std::vector<std::int32_t>;

  /** `set` and all states that steps lead to, sorted. */
  Set closure(Set set, bool at_begin, bool at_end) const;
  bool accepts(const Set& set, std::int32_t accept, bool at_begin) const;
  /** The edges of a set of states: disjoint ranges and where each leads. */
  std::vector<std::pair<CharRange, Set>> moves(const Set& set) const;

  std::vector<State> states_;
};

}  // namespace skua
