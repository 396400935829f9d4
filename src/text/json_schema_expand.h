#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/json_schema_document.h"
#include "text/json_schema_shape.h"

namespace skua {

/** Turns schemas into unions of shapes: every keyword is a set of values, a
 *  schema their intersection, and `not` the complement. What has no such form
 *  is refused with Unsupported that names the keyword and its place; a value
 *  of the wrong type for its keyword with InvalidInput. */
class SchemaExpander {
 public:
  explicit SchemaExpander(const Json& root);

  SchemaGoal root_goal() const { return {{&root_}}; }
  /** The values under all schemas of a goal. */
  Shapes expand(const SchemaGoal& goal);
  /** Whether it is known that no value is under the goal. Looks `depth`
   *  levels into required properties. */
  bool is_empty(const SchemaGoal& goal, int depth);
  /** The automaton of a `pattern`, compiled once. Throws as compile_pattern,
   *  naming `where`. */
  const Dfa& pattern(const std::string& text,
                     const std::string& where = "schema");

  const SchemaDocument& document() const { return document_; }

 private:
  Shapes expand(const Json& schema, bool positive);
  Shapes expand_keywords(const Json& schema, bool positive);
  /** Values under one keyword, or the others; absent for an annotation. */
  std::optional<Shapes> keyword(const Json& schema, const std::string& key,
                                const Json& value, bool positive);

  // json_schema_applicators.cpp
  std::optional<Shapes> applicator(const Json& schema, const std::string& key,
                                   const Json& value, bool positive);
  Shapes all_of(const Json& list, bool positive);
  Shapes any_of_list(const Json& list, bool positive);
  Shapes one_of(const Json& schema, const Json& list, bool positive);
  Shapes conditional(const Json& schema, bool positive);
  Shapes dependencies(const Json& schema, const std::string& key,
                      const Json& value, bool positive);

  // json_schema_scalars.cpp
  std::optional<Shapes> scalar(const Json& schema, const std::string& key,
                               const Json& value, bool positive);
  Shapes type(const Json& schema, const Json& value, bool positive);
  Shapes values(const Json& schema, const Json& list, bool positive);
  Shapes one_value(const Json& schema, const Json& value, bool positive);

  // json_schema_containers.cpp
  std::optional<Shapes> container(const Json& schema, const std::string& key,
                                  const Json& value, bool positive);
  Shapes property_group(const Json& schema, bool positive);
  Dfa other_names(const PropertyGroup& group);
  Shapes item_group(const Json& schema, bool positive);
  Shapes contains(const Json& schema, const Json& value, bool positive);
  Shapes required(const Json& schema, const Json& value, bool positive);

  // json_schema_unevaluated.cpp
  Shapes unevaluated_properties(const Json& schema, Shapes shapes);
  Shapes unevaluated_items(const Json& schema, Shapes shapes);
  const Json& any_of_kept(const SchemaGoal& some, const Json& schema,
                          const std::string& key);

  bool shape_is_empty(const Shape& shape, int depth);
  Shapes either(Shapes a, const Shapes& b) const;
  std::int64_t count(const Json& schema, const std::string& key,
                     const Json& value) const;
  const std::string& text(const Json& schema, const std::string& key,
                          const Json& value) const;
  const Json& array(const Json& schema, const std::string& key,
                    const Json& value) const;
  const Json& object(const Json& schema, const std::string& key,
                     const Json& value) const;
  [[noreturn]] void wrong_type(const Json& schema, const std::string& key,
                               const std::string& expected) const;
  [[noreturn]] void unsupported(const Json& schema, const std::string& key,
                                const std::string& why) const;

  const Json& root_;
  SchemaDocument document_;
  std::map<SchemaLiteral, Shapes> done_;
  std::set<SchemaLiteral> open_;  // being expanded
  std::map<std::string, Dfa> patterns_;
  std::map<std::pair<SchemaGoal, const Json*>, const Json*> unions_;
  bool keep_covered_;  // some schema asks what was evaluated
};

/** They do not count for what is evaluated: a refusal says nothing of that. */
Shapes without_annotations(Shapes shapes);
/** Whether a schema is true or empty. */
bool allows_all(const Json& schema);
/** All values but those of `type`. */
Shapes other_types(JsonType type);
/** The languages of a known `format`; null for others. */
const char* format_pattern(const std::string& name);

}  // namespace skua
