#include <algorithm>
#include <map>
#include <tuple>

#include "text/dfa.h"
#include "text/work_limit.h"

namespace skua {
namespace {

// A bound on states times rounds of the refinement.
constexpr std::size_t kMaxWork = 4'000'000;

std::vector<bool> reached(const Dfa& dfa) {
  std::vector<bool> seen(dfa.states.size());
  std::vector<std::int32_t> todo = {0};
  seen[0] = true;
  while (!todo.empty()) {
    const auto state = todo.back();
    todo.pop_back();
    for (const auto& edge : dfa.states[state].edges) {
      if (seen[edge.target]) continue;
      seen[edge.target] = true;
      todo.push_back(edge.target);
    }
  }
  return seen;
}

std::vector<bool> productive(const Dfa& dfa) {
  std::vector<std::vector<std::int32_t>> sources(dfa.states.size());
  std::vector<bool> good(dfa.states.size());
  std::vector<std::int32_t> todo;
  for (std::size_t i = 0; i < dfa.states.size(); ++i) {
    for (const auto& edge : dfa.states[i].edges)
      sources[edge.target].push_back(static_cast<std::int32_t>(i));
    if (!dfa.states[i].accepts) continue;
    good[i] = true;
    todo.push_back(static_cast<std::int32_t>(i));
  }
  while (!todo.empty()) {
    const auto state = todo.back();
    todo.pop_back();
    for (const auto source : sources[state]) {
      if (good[source]) continue;
      good[source] = true;
      todo.push_back(source);
    }
  }
  return good;
}

// The automaton whose states are the classes; dropped states have class -1.
Dfa quotient(const Dfa& dfa, const std::vector<std::int32_t>& classes,
             std::int32_t n_classes) {
  Dfa result;
  result.states.resize(n_classes);
  std::vector<bool> done(n_classes);
  for (std::size_t i = 0; i < dfa.states.size(); ++i) {
    const auto c = classes[i];
    if (c < 0 || done[c]) continue;
    done[c] = true;
    result.states[c].accepts = dfa.states[i].accepts;
    auto& edges = result.states[c].edges;
    for (const auto& edge : dfa.states[i].edges) {
      const auto target = classes[edge.target];
      if (target < 0) continue;
      if (!edges.empty() && edges.back().target == target &&
          edges.back().range.high + 1 == edge.range.low) {
        edges.back().range.high = edge.range.high;
      } else {
        edges.push_back({edge.range, target});
      }
    }
  }
  return result;
}

Dfa trim(const Dfa& dfa) {
  const auto seen = reached(dfa);
  const auto good = productive(dfa);
  if (!good[0]) return {};
  std::vector<std::int32_t> classes(dfa.states.size(), -1);
  std::int32_t n = 0;
  for (std::size_t i = 0; i < dfa.states.size(); ++i)
    if (seen[i] && good[i]) classes[i] = n++;
  return quotient(dfa, classes, n);
}

// Moore's refinement: states of one class stay together while their edges
// lead to the same classes.
Dfa merge_equal(const Dfa& dfa) {
  const std::size_t size = dfa.states.size();
  std::vector<std::int32_t> classes(size);
  // The start is looked at first, so its class is 0 in each round.
  for (std::size_t i = 0; i < size; ++i)
    classes[i] = dfa.states[i].accepts == dfa.states[0].accepts ? 0 : 1;
  std::int32_t n_classes = -1;
  for (std::size_t work = 0; work < kMaxWork; work += size) {
    std::map<std::pair<std::int32_t, std::vector<Dfa::Edge>>, std::int32_t,
             decltype([](const auto& a, const auto& b) {
               if (a.first != b.first) return a.first < b.first;
               return std::lexicographical_compare(
                   a.second.begin(), a.second.end(), b.second.begin(),
                   b.second.end(), [](const auto& x, const auto& y) {
                     return std::tie(x.range.low, x.range.high, x.target) <
                            std::tie(y.range.low, y.range.high, y.target);
                   });
             })>
        found;
    WorkLimit::spend(size);
    std::vector<std::int32_t> next(size);
    for (std::size_t i = 0; i < size; ++i) {
      std::vector<Dfa::Edge> edges;
      for (const auto& edge : dfa.states[i].edges) {
        const auto target = classes[edge.target];
        if (!edges.empty() && edges.back().target == target &&
            edges.back().range.high + 1 == edge.range.low) {
          edges.back().range.high = edge.range.high;
        } else {
          edges.push_back({edge.range, target});
        }
      }
      const auto n = static_cast<std::int32_t>(found.size());
      next[i] =
          found.try_emplace({classes[i], std::move(edges)}, n).first->second;
    }
    classes = std::move(next);
    const auto n = static_cast<std::int32_t>(found.size());
    if (n == n_classes) return quotient(dfa, classes, n);
    n_classes = n;
  }
  return dfa;
}

}  // namespace

Dfa dfa_reduce(const Dfa& a) {
  if (a.empty()) return {};
  const Dfa trimmed = trim(a);
  return trimmed.empty() ? Dfa{} : merge_equal(trimmed);
}

}  // namespace skua
