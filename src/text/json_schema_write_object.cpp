#include <algorithm>
#include <deque>

#include "skua/error.h"
#include "text/json_schema_write.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::size_t kMaxDemands = 8;

GrammarItem text(std::string s) {
  return GrammarItem::literal(std::move(s));
}

}  // namespace

// Any of the open names with its value; -1 where there are none.
std::int32_t SchemaWriter::pair_rule(const std::vector<OpenNames>& open,
                                     const ObjectSpelling& object) {
  if (open.empty()) return -1;
  const auto rule = rules_.add_rule();
  for (const auto& [names, goal] : open) {
    auto pair = open_name(names, object);
    pair.push_back(GrammarItem::ref(space()));
    pair.push_back(GrammarItem::ref(rule_of(goal)));
    rules_.add(rule, std::move(pair));
  }
  return rule;
}

/** Writes the rules of one object shape, as states in the order of its
 *  properties. */
class SchemaWriter::ObjectWriter {
 public:
  ObjectWriter(SchemaWriter& writer, const Shape& shape,
               const ObjectSpelling& object)
      : writer_(writer), rules_(writer.rules_), shape_(shape), object_(object) {
    if (shape.demands.size() > kMaxDemands)
      throw Unsupported("schema", "more than " + std::to_string(kMaxDemands) +
                                      " conditions on some property of an "
                                      "object");
    const auto names = writer.property_names(shape);
    properties_ = writer.declared(shape, names);
    const auto open = writer.open_names(shape, properties_, names);
    pair_ = writer.pair_rule(open, object);
    for (const auto& demand : shape.demands)
      meeting_pairs_.push_back(writer.pair_rule(under(open, demand), object));
    if (std::ranges::count_if(meeting_pairs_, [](auto r) { return r >= 0; }) >
        1)
      throw Unsupported("schema",
                        "several conditions on some property of an object, "
                        "whose name is not known");
  }

  std::int32_t write() {
    const auto start = id_of({});
    for (std::size_t i = 0; i < todo_.size(); ++i) {
      const State& state = todo_[i];
      if (state.passed < n()) {
        write_declared(state);
      } else {
        write_open(state);
      }
    }
    return rules_.rule_of(
        {text(std::string(object_.open)), GrammarItem::ref(writer_.space()),
         GrammarItem::ref(start), text(std::string(object_.close))});
  }

 private:
  // The declared properties passed, those written and the different ones among
  // them (each as far as a bound asks), the demands met, whether an open one
  // is there, and whether no more may come. As open names may repeat, all of
  // them count as one that differs, and only the last meets a demand: another
  // one could take its place.
  struct State {
    std::int64_t passed = 0, written = 0, distinct = 0;
    std::uint32_t met = 0;
    bool has_open = false, closed = false;
    auto operator<=>(const State&) const = default;
  };

  std::int64_t n() const {
    return static_cast<std::int64_t>(properties_.size());
  }
  std::uint32_t all_met() const {
    return (std::uint32_t{1} << shape_.demands.size()) - 1;
  }
  bool has_room(const State& state) const {
    return shape_.max < 0 || state.written < shape_.max;
  }

  static std::vector<OpenNames> under(const std::vector<OpenNames>& open,
                                      const PropertyDemand& demand) {
    std::vector<OpenNames> result;
    for (const auto& [names, goal] : open) {
      OpenNames both = {dfa_and(names, *demand.names), goal & demand.goal};
      if (!both.names.empty() && !is_nothing(both.goal))
        result.push_back(std::move(both));
    }
    return result;
  }

  std::int32_t id_of(State state) {
    if (shape_.max < 0)
      state.written = std::min<std::int64_t>(state.written, 1);
    state.distinct = std::min(state.distinct, shape_.min);
    const auto found = ids_.find(state);
    if (found != ids_.end()) return found->second;
    todo_.push_back(state);
    return ids_.emplace(state, rules_.add_rule()).first->second;
  }

  // A property, then the rest.
  void add(const State& from, GrammarSequence property, const State& to) {
    GrammarSequence sequence;
    if (from.written > 0)
      sequence = {text(","), GrammarItem::ref(writer_.space())};
    sequence.insert(sequence.end(), property.begin(), property.end());
    sequence.push_back(GrammarItem::ref(id_of(to)));
    rules_.add(ids_[from], std::move(sequence));
  }

  void write_declared(const State& state) {
    const auto& property = properties_[state.passed];
    if (has_room(state)) {
      for (const auto& [goal, met] : ways(property, state.met)) {
        if (is_nothing(goal)) continue;
        State next = state;
        ++next.passed, ++next.written, ++next.distinct;
        next.met = met;
        add(state,
            {writer_.name_item(property.name, object_),
             GrammarItem::ref(writer_.space()),
             GrammarItem::ref(writer_.rule_of(goal))},
            next);
      }
    }
    if (property.required) return;
    State next = state;
    ++next.passed;
    rules_.add(ids_[state], {GrammarItem::ref(id_of(next))});
  }

  // What the value of a property may be, and the demands that are met then.
  std::vector<std::pair<SchemaGoal, std::uint32_t>> ways(
      const Property& property, std::uint32_t met) const {
    std::vector<std::pair<SchemaGoal, std::uint32_t>> result = {
        {property.goal, met}};
    for (std::size_t k = 0; k < shape_.demands.size(); ++k) {
      const auto& demand = shape_.demands[k];
      const std::uint32_t bit = std::uint32_t{1} << k;
      if (met & bit || !dfa_accepts(*demand.names, to_utf32(property.name)))
        continue;
      if (is_anything(demand.goal)) {
        for (auto& way : result) way.second |= bit;
        continue;
      }
      const auto n_ways = result.size();
      for (std::size_t i = 0; i < n_ways; ++i)
        result.emplace_back(result[i].first & demand.goal,
                            result[i].second | bit);
    }
    return result;
  }

  void write_open(const State& state) {
    if (state.distinct >= shape_.min && state.met == all_met())
      rules_.add(ids_[state], writer_.before_end(state.written));
    if (state.closed || !has_room(state)) return;
    State next = state;
    ++next.written;
    if (!state.has_open) ++next.distinct;
    next.has_open = true;
    if (pair_ >= 0) add(state, {GrammarItem::ref(pair_)}, next);
    for (std::size_t k = 0; k < shape_.demands.size(); ++k) {
      if (meeting_pairs_[k] < 0) continue;
      next.met = state.met | std::uint32_t{1} << k;
      if (next.met != all_met() || next.met == state.met) continue;
      next.closed = true;
      add(state, {GrammarItem::ref(meeting_pairs_[k])}, next);
    }
  }

  SchemaWriter& writer_;
  GrammarRules& rules_;
  const Shape& shape_;
  const ObjectSpelling& object_;
  std::vector<Property> properties_;
  std::int32_t pair_ = -1;
  std::vector<std::int32_t> meeting_pairs_;  // by demand
  std::map<State, std::int32_t> ids_;
  std::deque<State> todo_;  // its elements stay where they are
};

std::int32_t SchemaWriter::object_rule(const Shape& shape,
                                       const ObjectSpelling& object) {
  return ObjectWriter(*this, shape, object).write();
}

}  // namespace skua
