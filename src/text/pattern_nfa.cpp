#include "text/pattern_nfa.h"

#include <algorithm>
#include <map>

#include "skua/error.h"
#include "text/work_limit.h"

namespace skua {
namespace {

constexpr std::size_t kMaxNfaStates = 200'000;
// Members of all subsets together.
constexpr std::size_t kMaxSubsetWork = 5'000'000;

[[noreturn]] void too_large() {
  throw Unsupported("pattern", "its automaton is too large");
}

}  // namespace

std::int32_t PatternNfa::add_state() {
  if (states_.size() >= kMaxNfaStates) too_large();
  states_.emplace_back();
  return static_cast<std::int32_t>(states_.size()) - 1;
}

void PatternNfa::add_step(std::int32_t from, std::int32_t to, Step step) {
  states_[from].steps.push_back({to, step});
}

void PatternNfa::add_chars(std::int32_t from, std::int32_t to,
                           const CharSet& chars) {
  for (const auto range : chars.ranges())
    states_[from].chars.push_back({range, to});
}

PatternNfa::Set PatternNfa::closure(Set set, bool at_begin, bool at_end) const {
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
  std::vector<bool> seen(states_.size());
  for (const auto state : set) seen[state] = true;
  for (std::size_t i = 0; i < set.size(); ++i) {
    for (const auto& edge : states_[set[i]].steps) {
      if (edge.step == Step::kBegin && !at_begin) continue;
      if (edge.step == Step::kEnd && !at_end) continue;
      if (seen[edge.target]) continue;
      seen[edge.target] = true;
      set.push_back(edge.target);
    }
  }
  std::sort(set.begin(), set.end());
  return set;
}

bool PatternNfa::accepts(const Set& set, std::int32_t accept,
                         bool at_begin) const {
  const Set all = closure(set, at_begin, true);
  return std::binary_search(all.begin(), all.end(), accept);
}

std::vector<std::pair<CharRange, PatternNfa::Set>> PatternNfa::moves(
    const Set& set) const {
  struct Event {
    char32_t at;
    bool opens;
    std::int32_t target;
  };
  std::vector<Event> events;
  for (const auto state : set) {
    for (const auto& edge : states_[state].chars) {
      events.push_back({edge.range.low, true, edge.target});
      events.push_back({edge.range.high + 1, false, edge.target});
    }
  }
  std::sort(events.begin(), events.end(),
            [](const auto& a, const auto& b) { return a.at < b.at; });
  std::vector<std::pair<CharRange, Set>> result;
  std::map<std::int32_t, int> open;  // targets and how often
  for (std::size_t i = 0; i < events.size();) {
    const char32_t at = events[i].at;
    for (; i < events.size() && events[i].at == at; ++i) {
      int& count = open[events[i].target];
      count += events[i].opens ? 1 : -1;
      if (count == 0) open.erase(events[i].target);
    }
    if (open.empty()) continue;
    Set targets;
    for (const auto& [target, count] : open) targets.push_back(target);
    result.emplace_back(CharRange{at, events[i].at - 1}, std::move(targets));
  }
  return result;
}

Dfa PatternNfa::determinise(std::int32_t start, std::int32_t accept) const {
  Dfa dfa;
  // The start is a state of its own: anchors hold there alone.
  std::vector<Set> sets = {closure({start}, true, false)};
  dfa.states.push_back({{}, accepts(sets[0], accept, true)});
  std::map<Set, std::int32_t> ids;
  std::size_t work = 0;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    std::vector<Dfa::Edge> edges;
    for (auto& [range, targets] : moves(Set(sets[i]))) {
      Set next = closure(std::move(targets), false, false);
      const std::size_t steps = next.size() + states_.size() / 64 + 1;
      WorkLimit::spend(steps);
      work += steps;
      if (work > kMaxSubsetWork) too_large();
      auto found = ids.find(next);
      if (found == ids.end()) {
        if (sets.size() == kMaxDfaStates) too_large();
        found = ids.emplace(next, static_cast<std::int32_t>(sets.size())).first;
        dfa.states.push_back({{}, accepts(next, accept, false)});
        sets.push_back(std::move(next));
      }
      edges.push_back({range, found->second});
    }
    dfa.states[i].edges = std::move(edges);
  }
  return dfa_reduce(dfa);
}

}  // namespace skua
