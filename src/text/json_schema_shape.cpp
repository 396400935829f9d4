#include "text/json_schema_shape.h"

#include <algorithm>

#include "skua/error.h"
#include "text/json_number.h"
#include "text/work_limit.h"

namespace skua {
namespace {

constexpr std::size_t kMaxShapes = 2000;

bool same_language(const Language& a, const Language& b) {
  return a == b || (a && b && *a == *b);
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class T>
void append_new(std::vector<T>& to, const std::vector<T>& from) {
  for (const auto& value : from)
    if (std::find(to.begin(), to.end(), value) == to.end()) to.push_back(value);
}

bool is_empty(const Shape& shape) {
  if (shape.max >= 0 && shape.min > shape.max) return true;
  if (shape.type == JsonType::kBoolean)
    return !shape.allows_true && !shape.allows_false;
  return shape.language && shape.language->empty();
}

// The values in both shapes of one type.
Shape both(const Shape& a, const Shape& b) {
  WorkLimit::spend(10);
  Shape result = a;
  result.min = std::max(a.min, b.min);
  if (b.max >= 0) result.max = a.max < 0 ? b.max : std::min(a.max, b.max);
  result.allows_true = a.allows_true && b.allows_true;
  result.allows_false = a.allows_false && b.allows_false;
  if (b.language)
    result.language = a.language
                          ? language_of(dfa_and(*a.language, *b.language))
                          : b.language;
  result.shortest = a.shortest || b.shortest;
  append_new(result.items, b.items);
  append_new(result.counts, b.counts);
  if (a.unique_at.empty()) result.unique_at = b.unique_at;
  append_new(result.properties, b.properties);
  append_new(result.required, b.required);
  append_new(result.demands, b.demands);
  append_new(result.names, b.names);
  return result;
}

// Joins two shapes of a type whose unions are shapes again.
bool join(Shape& to, const Shape& from) {
  switch (to.type) {
    case JsonType::kNull:
      return true;
    case JsonType::kBoolean:
      to.allows_true = to.allows_true || from.allows_true;
      to.allows_false = to.allows_false || from.allows_false;
      return true;
    case JsonType::kNumber:
      to.shortest = to.shortest && from.shortest;
      to.language = to.language && from.language
                        ? language_of(dfa_or(*to.language, *from.language))
                        : nullptr;
      return true;
    case JsonType::kString:
      if (to.min != from.min || to.max != from.max) return false;
      to.language = to.language && from.language
                        ? language_of(dfa_or(*to.language, *from.language))
                        : nullptr;
      return true;
    default:
      return false;
  }
}

[[noreturn]] void too_many() {
  throw Unsupported("schema", "its alternatives multiply to more than " +
                                  std::to_string(kMaxShapes));
}

void add(Shapes& shapes, const Shape& shape, bool keep_covered) {
  if (is_empty(shape)) return;
  WorkLimit::spend(shapes.size() / 4 + 1);
  for (auto& other : shapes) {
    if (other.type != shape.type) continue;
    if (other == shape || (!keep_covered && is_any(other))) return;
    if (join(other, shape)) return;
  }
  if (!keep_covered && is_any(shape))
    std::erase_if(shapes, [&](const Shape& s) { return s.type == shape.type; });
  if (shapes.size() == kMaxShapes) too_many();
  shapes.push_back(shape);
}

}  // namespace

SchemaGoal operator&(const SchemaGoal& a, const SchemaGoal& b) {
  SchemaGoal result = a;
  append(result, b);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

bool PropertyDemand::operator==(const PropertyDemand& other) const {
  return goal == other.goal && same_language(names, other.names);
}

bool Shape::operator==(const Shape& other) const {
  return type == other.type && min == other.min && max == other.max &&
         allows_true == other.allows_true &&
         allows_false == other.allows_false &&
         same_language(language, other.language) &&
         shortest == other.shortest && items == other.items &&
         counts == other.counts && unique_at == other.unique_at &&
         properties == other.properties && required == other.required &&
         demands == other.demands && names == other.names;
}

Shape any_of(JsonType type) {
  Shape shape;
  shape.type = type;
  return shape;
}

bool is_any(const Shape& shape) {
  return shape == any_of(shape.type);
}

Shapes any_shapes() {
  Shapes shapes;
  for (const auto type :
       {JsonType::kNull, JsonType::kBoolean, JsonType::kNumber,
        JsonType::kString, JsonType::kArray, JsonType::kObject})
    shapes.push_back(any_of(type));
  return shapes;
}

Shapes intersect(const Shapes& a, const Shapes& b) {
  Shapes result;
  for (const auto& left : a)
    for (const auto& right : b)
      if (left.type == right.type) add(result, both(left, right), true);
  return result;
}

Shapes unite(Shapes a, const Shapes& b, bool keep_covered) {
  for (const auto& shape : b) add(a, shape, keep_covered);
  return a;
}

Language language_of(Dfa dfa) {
  return std::make_shared<const Dfa>(std::move(dfa));
}

Dfa string_language(const Shape& shape) {
  Dfa dfa = shape.language ? *shape.language : dfa_any();
  if (shape.min == 0 && shape.max < 0) return dfa;
  return dfa_and(dfa, dfa_length(shape.min, shape.max));
}

const Dfa& number_language(const Shape& shape) {
  return shape.language ? *shape.language : all_numbers();
}

}  // namespace skua
