#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/dfa.h"

namespace skua {

/** A schema, or what it does not allow. */
struct SchemaLiteral {
  const Json* schema;
  bool positive = true;
  auto operator<=>(const SchemaLiteral&) const = default;
};

/** Schemas that hold together; sorted. Without any, all values are good. */
using SchemaGoal = std::vector<SchemaLiteral>;

SchemaGoal operator&(const SchemaGoal& a, const SchemaGoal& b);

enum class JsonType { kNull, kBoolean, kNumber, kString, kArray, kObject };

/** A language; none stands for everything. */
using Language = std::shared_ptr<const Dfa>;

/** What one `properties` with its siblings says. */
struct PropertyGroup {
  std::vector<std::pair<std::string, SchemaGoal>> properties;
  std::vector<std::pair<std::string, SchemaGoal>> patterns;
  std::optional<SchemaGoal> rest;  // additionalProperties
  bool annotates = true;           // counts for unevaluatedProperties
  bool operator==(const PropertyGroup&) const = default;
};

/** What one `prefixItems` with its siblings says. */
struct ItemGroup {
  std::vector<SchemaGoal> prefix;
  std::optional<SchemaGoal> rest;  // items behind the prefix
  bool annotates = true;
  bool operator==(const ItemGroup&) const = default;
};

/** How many items from `from` on are under a goal; max -1: no bound. */
struct ItemCount {
  SchemaGoal goal;
  std::int64_t min = 1, max = -1;
  std::size_t from = 0;
  bool annotates = false;  // counts for unevaluatedItems
  bool operator==(const ItemCount&) const = default;
};

/** At least one property with such a name is under a goal. */
struct PropertyDemand {
  Language names;
  SchemaGoal goal;
  bool operator==(const PropertyDemand& other) const;
};

/** Values of one type under constraints that hold together. Bounds of -1 are
 *  absent ones. */
struct Shape {
  JsonType type = JsonType::kNull;
  std::int64_t min = 0, max = -1;  // characters, items or properties

  bool allows_true = true, allows_false = true;
  Language language;      // kString: of the value; kNumber: see json_number.h
  bool shortest = false;  // kNumber: one spelling of each value

  std::vector<ItemGroup> items;
  std::vector<ItemCount> counts;
  std::string unique_at;  // the place of `uniqueItems`, if any

  std::vector<PropertyGroup> properties;
  std::vector<std::string> required;
  std::vector<PropertyDemand> demands;
  std::vector<SchemaGoal> names;  // propertyNames

  bool operator==(const Shape& other) const;
};

/** A union. */
using Shapes = std::vector<Shape>;

Shapes any_shapes();
/** All values of one type. */
Shape any_of(JsonType type);
bool is_any(const Shape& shape);

/** Values in both. Throws Unsupported for unions that grow too large, as
 *  unite does. */
Shapes intersect(const Shapes& a, const Shapes& b);
/** Values in either. Shapes that others cover are dropped unless they must be
 *  kept for what they evaluate. */
Shapes unite(Shapes a, const Shapes& b, bool keep_covered);

Language language_of(Dfa dfa);
/** The texts of a string shape, its lengths applied. */
Dfa string_language(const Shape& shape);
/** The numbers of a number shape that are written without an exponent. */
const Dfa& number_language(const Shape& shape);

}  // namespace skua
