#include <fmt/format.h>

#include <algorithm>

#include "text/grammar_rules.h"
#include "text/utf8.h"

namespace skua {
namespace {

const CharSet& json_raw() {
  static const CharSet set = CharSet({{0x20, 0x10FFFF}}) &
                             CharSet({{'"', '"'}, {'\\', '\\'}}).complement();
  return set;
}

std::string json_escape(char32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
  }
}

// The characters that JSON must escape.
std::int32_t any_json_escape(GrammarRules& rules) {
  auto& rule = rules.named("escape");
  if (rule >= 0) return rule;
  rule = rules.add_rule();
  const CharSet letters({{'b', 'b'},
                         {'f', 'f'},
                         {'n', 'n'},
                         {'r', 'r'},
                         {'t', 't'},
                         {'"', '"'},
                         {'\\', '\\'}});
  rules.add(rule, {GrammarItem::literal("\\"), GrammarItem::of(letters)});
  const CharSet hex({{'0', '9'}, {'a', 'f'}});
  rules.add(rule,
            {GrammarItem::literal("\\u00"),
             GrammarItem::of(CharSet({{'0', '1'}})), GrammarItem::of(hex)});
  return rule;
}

// One rule for each state, but for those in a row without a branch.
class DfaWriter {
 public:
  DfaWriter(GrammarRules& rules, const Dfa& dfa, Spelling spelling,
            const std::string& end)
      : rules_(rules), dfa_(dfa), spelling_(spelling), end_(end) {}

  std::int32_t write() {
    rule_of_.assign(dfa_.states.size(), -1);
    std::vector<int> n_sources(dfa_.states.size());
    for (const auto& state : dfa_.states)
      for (const auto& group : groups(state)) ++n_sources[group.first];
    inlined_.resize(dfa_.states.size());
    for (std::size_t i = 1; i < dfa_.states.size(); ++i)
      inlined_[i] = n_sources[i] == 1 && is_row(dfa_.states[i]);
    const auto root = rule_for(0);
    for (std::size_t i = 0; i < todo_.size(); ++i) write_state(todo_[i]);
    return root;
  }

 private:
  using Group = std::pair<std::int32_t, CharSet>;  // target, characters

  static std::vector<Group> groups(const Dfa::State& state) {
    std::vector<std::pair<std::int32_t, std::vector<CharRange>>> found;
    for (const auto& edge : state.edges) {
      auto it = std::find_if(found.begin(), found.end(), [&](const auto& g) {
        return g.first == edge.target;
      });
      if (it == found.end()) it = found.insert(it, {edge.target, {}});
      it->second.push_back(edge.range);
    }
    std::vector<Group> result;
    for (auto& [target, ranges] : found)
      result.emplace_back(target, CharSet(std::move(ranges)));
    return result;
  }

  // A state that neither ends nor branches.
  static bool is_row(const Dfa::State& state) {
    return !state.accepts && groups(state).size() == 1;
  }

  std::int32_t rule_for(std::int32_t state) {
    if (rule_of_[state] < 0) {
      rule_of_[state] = rules_.add_rule();
      todo_.push_back(state);
    }
    return rule_of_[state];
  }

  void write_state(std::int32_t state) {
    const auto rule = rule_of_[state];
    if (dfa_.states[state].accepts)
      rules_.add(rule, {GrammarItem::literal(end_)});
    for (const auto& [target, chars] : groups(dfa_.states[state]))
      add_moves(rule, chars, target);
  }

  // The alternatives that take one of `chars` and go on from `target`.
  void add_moves(std::int32_t rule, const CharSet& chars, std::int32_t target) {
    if (inlined_[target]) return follow(rule, {one_item(chars)}, target);
    for (auto& item : spell(chars)) follow(rule, {std::move(item)}, target);
  }

  // Through states in a row, then to the rule of the next one.
  void follow(std::int32_t rule, GrammarSequence sequence,
              std::int32_t target) {
    while (inlined_[target]) {
      const auto [next, chars] = groups(dfa_.states[target])[0];
      append(sequence, one_item(chars));
      target = next;
    }
    const auto& state = dfa_.states[target];
    if (state.accepts && state.edges.empty()) {
      append(sequence, GrammarItem::literal(end_));
    } else {
      sequence.push_back(GrammarItem::ref(rule_for(target)));
    }
    rules_.add(rule, std::move(sequence));
  }

  GrammarItem one_item(const CharSet& chars) {
    auto items = spell(chars);
    if (items.size() == 1) return std::move(items[0]);
    const auto either = rules_.add_rule();
    for (auto& item : items) rules_.add(either, {std::move(item)});
    return GrammarItem::ref(either);
  }

  static void append(GrammarSequence& sequence, GrammarItem item) {
    const bool is_text = item.kind == GrammarItem::Kind::kText;
    if (is_text && !sequence.empty() &&
        sequence.back().kind == GrammarItem::Kind::kText) {
      sequence.back().text += item.text;
    } else {
      sequence.push_back(std::move(item));
    }
  }

  // The ways to write one of `chars`: a set, and escapes.
  std::vector<GrammarItem> spell(const CharSet& chars) {
    std::vector<GrammarItem> items;
    const CharSet raw =
        spelling_ == Spelling::kJson ? chars & json_raw() : chars;
    if (raw.is_single()) {
      std::string text;
      append_utf8(text, raw.ranges()[0].low);
      items.push_back(GrammarItem::literal(std::move(text)));
    } else if (!raw.empty()) {
      items.push_back(GrammarItem::of(raw));
    }
    if (spelling_ == Spelling::kPlain) return items;
    const CharSet escaped = chars & json_raw().complement();
    if (escaped == json_raw().complement()) {
      items.push_back(GrammarItem::ref(any_json_escape(rules_)));
      return items;
    }
    for (const auto [low, high] : escaped.ranges())
      for (char32_t c = low; c <= high; ++c)
        items.push_back(GrammarItem::literal(json_escape(c)));
    return items;
  }

  GrammarRules& rules_;
  const Dfa& dfa_;
  const Spelling spelling_;
  const std::string& end_;
  std::vector<std::int32_t> rule_of_;
  std::vector<bool> inlined_;
  std::vector<std::int32_t> todo_;
};

}  // namespace

std::int32_t add_dfa(GrammarRules& rules, const Dfa& dfa, Spelling spelling,
                     const std::string& end) {
  if (dfa.empty()) return rules.add_rule();
  return DfaWriter(rules, dfa, spelling, end).write();
}

}  // namespace skua
