#include "text/dfa.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "skua/error.h"
#include "text/work_limit.h"

namespace skua {
namespace {

constexpr std::int32_t kDead = -1;
constexpr char32_t kEnd = 0x110000;  // one past the last character

struct PairHash {
  std::size_t operator()(std::pair<std::int32_t, std::int32_t> p) const {
    return std::hash<std::uint64_t>()(
        (static_cast<std::uint64_t>(static_cast<std::uint32_t>(p.first))
         << 32) |
        static_cast<std::uint32_t>(p.second));
  }
};

// Walks the edges of one state in the order of characters, gaps included.
class EdgeWalker {
 public:
  EdgeWalker(const Dfa& dfa, std::int32_t state)
      : edges_(state == kDead ? nullptr : &dfa.states[state].edges) {}

  std::int32_t target(char32_t at) const {
    return inside(at) ? (*edges_)[i_].target : kDead;
  }
  // The first character after `at` where the target may change.
  char32_t next_change(char32_t at) const {
    if (!edges_ || i_ == edges_->size()) return kEnd;
    const CharRange& range = (*edges_)[i_].range;
    return at < range.low ? range.low : range.high + 1;
  }
  void move_to(char32_t at) {
    while (edges_ && i_ < edges_->size() && (*edges_)[i_].range.high < at) ++i_;
  }

 private:
  bool inside(char32_t at) const {
    return edges_ && i_ < edges_->size() && (*edges_)[i_].range.low <= at;
  }
  const std::vector<Dfa::Edge>* edges_;
  std::size_t i_ = 0;
};

void append_edge(std::vector<Dfa::Edge>& edges, CharRange range,
                 std::int32_t target) {
  if (!edges.empty() && edges.back().target == target &&
      edges.back().range.high + 1 == range.low) {
    edges.back().range.high = range.high;
  } else {
    edges.push_back({range, target});
  }
}

enum class Operation { kAnd, kOr, kMinus };

bool combine(Operation operation, bool a, bool b) {
  switch (operation) {
    case Operation::kAnd:
      return a && b;
    case Operation::kOr:
      return a || b;
    case Operation::kMinus:
      return a && !b;
  }
  return false;
}

// Runs two automata side by side.
class Product {
 public:
  Product(const Dfa& a, const Dfa& b, Operation operation)
      : a_(a), b_(b), operation_(operation) {}

  Dfa build() {
    const auto start = id_of(a_.empty() ? kDead : 0, b_.empty() ? kDead : 0);
    if (start == kDead) return {};
    for (std::size_t i = 0; i < pairs_.size(); ++i) expand(i);
    return dfa_reduce(result_);
  }

 private:
  std::int32_t id_of(std::int32_t a, std::int32_t b) {
    const bool needs_a = operation_ != Operation::kOr;
    if (a == kDead && (needs_a || b == kDead)) return kDead;
    if (b == kDead && operation_ == Operation::kAnd) return kDead;
    const auto [found, added] = ids_.try_emplace(
        {a, b}, static_cast<std::int32_t>(result_.states.size()));
    if (!added) return found->second;
    if (pairs_.size() == kMaxDfaStates)
      throw Unsupported(
          "automaton",
          "it needs more than " + std::to_string(kMaxDfaStates) + " states");
    pairs_.emplace_back(a, b);
    const bool in_a = a != kDead && a_.states[a].accepts;
    const bool in_b = b != kDead && b_.states[b].accepts;
    result_.states.push_back({{}, combine(operation_, in_a, in_b)});
    return found->second;
  }

  void expand(std::size_t index) {
    const auto [a, b] = pairs_[index];
    EdgeWalker left(a_, a), right(b_, b);
    std::vector<Dfa::Edge> edges;
    for (char32_t at = 0; at < kEnd;) {
      left.move_to(at);
      right.move_to(at);
      const char32_t next =
          std::min(left.next_change(at), right.next_change(at));
      const auto target = id_of(left.target(at), right.target(at));
      if (target != kDead) append_edge(edges, {at, next - 1}, target);
      at = next;
    }
    WorkLimit::spend(edges.size() + 1);
    result_.states[index].edges = std::move(edges);
  }

  const Dfa& a_;
  const Dfa& b_;
  Operation operation_;
  Dfa result_;
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs_;
  std::unordered_map<std::pair<std::int32_t, std::int32_t>, std::int32_t,
                     PairHash>
      ids_;
};

}  // namespace

Dfa dfa_any() {
  Dfa dfa{{{{}, true}}};
  const CharSet all = CharSet::any();
  for (const auto range : all.ranges())
    dfa.states[0].edges.push_back({range, 0});
  return dfa;
}

Dfa dfa_words(const std::vector<std::u32string>& words) {
  auto sorted = words;
  std::sort(sorted.begin(), sorted.end());
  Dfa trie{{{}}};
  for (const auto& word : sorted) {
    std::int32_t state = 0;
    for (const char32_t c : word) {
      auto& edges = trie.states[state].edges;
      // The words are sorted, so only the last edge may be the one.
      if (edges.empty() || edges.back().range.low != c) {
        if (trie.states.size() > 10 * kMaxDfaStates)
          throw Unsupported("automaton", "the values are too long");
        edges.push_back(
            {{c, c}, static_cast<std::int32_t>(trie.states.size())});
        state = edges.back().target;
        trie.states.emplace_back();
      } else {
        state = edges.back().target;
      }
    }
    trie.states[state].accepts = true;
  }
  return dfa_reduce(trie);
}

Dfa dfa_and(const Dfa& a, const Dfa& b) {
  return Product(a, b, Operation::kAnd).build();
}
Dfa dfa_or(const Dfa& a, const Dfa& b) {
  return Product(a, b, Operation::kOr).build();
}
Dfa dfa_minus(const Dfa& a, const Dfa& b) {
  return Product(a, b, Operation::kMinus).build();
}
Dfa dfa_any_of(std::vector<Dfa> parts) {
  while (parts.size() > 1) {
    // In pairs, so that each is copied seldom.
    std::vector<Dfa> joined;
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2)
      joined.push_back(dfa_or(parts[i], parts[i + 1]));
    if (parts.size() % 2 != 0) joined.push_back(std::move(parts.back()));
    parts = std::move(joined);
  }
  return parts.empty() ? Dfa{} : std::move(parts[0]);
}
Dfa dfa_not(const Dfa& a) {
  return dfa_minus(dfa_any(), a);
}

Dfa dfa_length(std::int64_t min, std::int64_t max) {
  if (max >= 0 && min > max) return {};
  const std::int64_t last = std::max(min, max);
  if (last >= static_cast<std::int64_t>(kMaxDfaStates))
    throw Unsupported("automaton", "a length of " + std::to_string(last) +
                                       " together with a pattern");
  const CharSet all = CharSet::any();
  Dfa dfa;
  for (std::int64_t i = 0; i <= last; ++i) {
    Dfa::State state{{}, i >= min};
    const auto target =
        static_cast<std::int32_t>(i < last ? i + 1 : (max < 0 ? i : kDead));
    if (target != kDead)
      for (const auto range : all.ranges())
        state.edges.push_back({range, target});
    dfa.states.push_back(std::move(state));
  }
  return dfa;
}

bool dfa_accepts(const Dfa& a, const std::u32string& text) {
  if (a.empty()) return false;
  std::int32_t state = 0;
  for (const char32_t c : text) {
    EdgeWalker edges(a, state);
    edges.move_to(c);
    state = edges.target(c);
    if (state == kDead) return false;
  }
  return a.states[state].accepts;
}

bool dfa_is_any(const Dfa& a) {
  return dfa_not(a).empty();
}

}  // namespace skua
