#include "text/json_schema_expand.h"

#include <algorithm>

#include "skua/error.h"
#include "text/pattern.h"

namespace skua {
namespace {

constexpr std::size_t kMaxDepth = 200;

// Keywords that stand under another one, which looks at them.
const std::set<std::string> kPartners = {"additionalItems", "else",
                                         "maxContains",     "minContains",
                                         "prefixItems",     "then"};

bool mentions_unevaluated(const Json& value) {
  if (!value.is_structured()) return false;
  for (const auto& [key, member] : value.items())
    if (key.starts_with("unevaluated") || mentions_unevaluated(member))
      return true;
  return false;
}

}  // namespace

Shapes without_annotations(Shapes shapes) {
  for (auto& shape : shapes) {
    for (auto& group : shape.properties) group.annotates = false;
    for (auto& group : shape.items) group.annotates = false;
    for (auto& count : shape.counts) count.annotates = false;
  }
  return shapes;
}

SchemaExpander::SchemaExpander(const Json& root)
    : root_(root), document_(root), keep_covered_(mentions_unevaluated(root)) {}

void SchemaExpander::wrong_type(const Json& schema, const std::string& key,
                                const std::string& expected) const {
  throw InvalidInput(document_.where(schema, key), "expected " + expected);
}

void SchemaExpander::unsupported(const Json& schema, const std::string& key,
                                 const std::string& why) const {
  throw Unsupported(document_.where(schema, key), why);
}

std::int64_t SchemaExpander::count(const Json& schema, const std::string& key,
                                   const Json& value) const {
  constexpr double kMax = 1e15;
  const double number = value.is_number() ? value.get<double>() : -1;
  if (!(number >= 0 && number <= kMax) ||
      number != static_cast<double>(static_cast<std::int64_t>(number)))
    wrong_type(schema, key, "a whole number from 0 to 1e15");
  return static_cast<std::int64_t>(number);
}

const std::string& SchemaExpander::text(const Json& schema,
                                        const std::string& key,
                                        const Json& value) const {
  if (!value.is_string()) wrong_type(schema, key, "a string");
  return value.get_ref<const std::string&>();
}

const Json& SchemaExpander::array(const Json& schema, const std::string& key,
                                  const Json& value) const {
  if (!value.is_array()) wrong_type(schema, key, "an array");
  return value;
}

const Json& SchemaExpander::object(const Json& schema, const std::string& key,
                                   const Json& value) const {
  if (!value.is_object()) wrong_type(schema, key, "an object");
  return value;
}

const Dfa& SchemaExpander::pattern(const std::string& text,
                                   const std::string& where) {
  const auto found = patterns_.find(text);
  if (found != patterns_.end()) return found->second;
  return patterns_.emplace(text, compile_pattern(text, true, where))
      .first->second;
}

Shapes SchemaExpander::either(Shapes a, const Shapes& b) const {
  return unite(std::move(a), b, keep_covered_);
}

Shapes SchemaExpander::expand(const SchemaGoal& goal) {
  Shapes result = any_shapes();
  for (const auto& literal : goal)
    result = intersect(result, expand(*literal.schema, literal.positive));
  return result;
}

Shapes SchemaExpander::expand(const Json& schema, bool positive) {
  if (schema.is_boolean())
    return schema.get<bool>() == positive ? any_shapes() : Shapes{};
  if (!schema.is_object())
    throw InvalidInput(document_.where(schema, ""),
                       "expected a schema: an object or a boolean");
  const SchemaLiteral literal{&schema, positive};
  const auto found = done_.find(literal);
  if (found != done_.end()) return found->second;
  if (open_.size() > kMaxDepth)
    unsupported(schema, "", "schemas refer to each other too deeply");
  if (!open_.insert(literal).second)
    unsupported(schema, "$ref", "a schema that is defined by itself");
  // Also where it is refused, which is_empty gets over.
  struct Closing {
    std::set<SchemaLiteral>& open;
    const SchemaLiteral& literal;
    ~Closing() { open.erase(literal); }
  } const closing{open_, literal};
  auto shapes = expand_keywords(schema, positive);
  if (!positive) shapes = without_annotations(std::move(shapes));
  done_.emplace(literal, shapes);
  return shapes;
}

Shapes SchemaExpander::expand_keywords(const Json& schema, bool positive) {
  const bool alone = document_.place(schema).draft7 && schema.contains("$ref");
  Shapes result = positive ? any_shapes() : Shapes{};
  bool has_properties = false, has_items = false;
  for (const auto& [key, value] : schema.items()) {
    if (kPartners.count(key) > 0 && key != "prefixItems") continue;
    if (alone && key != "$ref") continue;
    // Keywords that are one constraint together are taken once.
    bool& seen =
        key == "items" || key == "prefixItems" ? has_items : has_properties;
    const bool shared = key == "items" || key == "prefixItems" ||
                        key == "properties" || key == "patternProperties" ||
                        key == "additionalProperties";
    if (shared && std::exchange(seen, true)) continue;
    const auto shapes = keyword(schema, key, value, positive);
    if (!shapes) continue;
    result = positive ? intersect(result, *shapes) : either(result, *shapes);
  }
  for (const char* key : {"unevaluatedItems", "unevaluatedProperties"}) {
    if (!schema.contains(key) || alone || document_.place(schema).draft7)
      continue;
    if (!positive) unsupported(schema, key, "it stands inside a 'not'");
    result = key[11] == 'I' ? unevaluated_items(schema, std::move(result))
                            : unevaluated_properties(schema, std::move(result));
  }
  return result;
}

std::optional<Shapes> SchemaExpander::keyword(const Json& schema,
                                              const std::string& key,
                                              const Json& value,
                                              bool positive) {
  try {
    if (auto shapes = scalar(schema, key, value, positive)) return shapes;
  } catch (const Unsupported& error) {
    // Automata do not know what they are made for.
    const std::string what = error.what();
    if (what.starts_with("[schema#")) throw;
    unsupported(schema, key, what);
  }
  if (auto shapes = container(schema, key, value, positive)) return shapes;
  return applicator(schema, key, value, positive);
}

bool SchemaExpander::is_empty(const SchemaGoal& goal, int depth) {
  try {
    const auto shapes = expand(goal);
    return std::all_of(shapes.begin(), shapes.end(), [&](const Shape& shape) {
      return shape_is_empty(shape, depth);
    });
  } catch (const Unsupported&) {
    return false;  // a schema that is being expanded, for one
  }
}

bool SchemaExpander::shape_is_empty(const Shape& shape, int depth) {
  if (shape.type != JsonType::kObject || depth == 0) return false;
  for (const auto& name : shape.required) {
    SchemaGoal goal;
    for (const auto& group : shape.properties)
      for (const auto& [property, more] : group.properties)
        if (property == name) goal = goal & more;
    if (!goal.empty() && is_empty(goal, depth - 1)) return true;
  }
  return false;
}

}  // namespace skua
