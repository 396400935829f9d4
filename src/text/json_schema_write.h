#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/grammar_rules.h"
#include "text/json_schema_expand.h"
#include "text/value_spelling.h"

namespace skua {

/** Whether it is plain that no value is under the goal, or every one. */
bool is_nothing(const SchemaGoal& goal);
bool is_anything(const SchemaGoal& goal);

/** Writes shapes as rules of JSON text, or in another spelling. Properties come
 * in the order in which the schema declares them, others behind; see
 * json_schema.h. */
class SchemaWriter {
 public:
  SchemaWriter(GrammarRules& rules, SchemaExpander& expander,
               const ValueSpelling& spelling);

  /** The rule of the values under a goal, which no value is around. */
  std::int32_t write(const SchemaGoal& goal);

 private:
  std::int32_t root_rule(const SchemaGoal& goal);
  std::int32_t rule_of(const SchemaGoal& goal);
  void write_shape(std::int32_t rule, const Shape& shape,
                   const ObjectSpelling& object);
  std::int32_t string_rule(const Shape& shape);
  std::int32_t number_rule(const Shape& shape);
  std::int32_t free_string(std::int64_t min, std::int64_t max);

  // json_schema_write_string.cpp
  bool is_allowed(const std::string& text) const;
  Dfa allowed_texts(const Dfa& texts) const;
  std::int32_t texts_rule(const Dfa& texts);
  std::int32_t any_string(std::int64_t min, std::int64_t max);
  std::int32_t restricted_string(std::int64_t min, std::int64_t max);
  std::string quoted(const std::string& value) const;
  GrammarItem name_item(const std::string& name,
                        const ObjectSpelling& object) const;
  GrammarSequence open_name(const Dfa& names, const ObjectSpelling& object);
  std::int32_t escape_rest();
  std::int32_t space();
  GrammarSequence before_end(std::int64_t n);

  // json_schema_write_array.cpp
  std::int32_t array_rule(const Shape& shape);
  std::int32_t unique_array(const Shape& shape);
  /** All values under a goal as JSON text, should they be few. */
  std::optional<std::vector<std::string>> few_values(const SchemaGoal& goal);

  // json_schema_write_names.cpp
  struct Property {
    std::string name;
    SchemaGoal goal;
    bool required = false;
  };
  struct OpenNames {
    Dfa names;
    SchemaGoal goal;
  };
  std::vector<Property> declared(const Shape& shape, const Language& names);
  SchemaGoal property_goal(const Shape& shape, const std::string& name);
  std::vector<OpenNames> open_names(const Shape& shape,
                                    const std::vector<Property>& declared,
                                    const Language& names);
  Language property_names(const Shape& shape);

  // json_schema_write_object.cpp
  class ObjectWriter;
  std::int32_t object_rule(const Shape& shape, const ObjectSpelling& object);
  std::int32_t pair_rule(const std::vector<OpenNames>& open,
                         const ObjectSpelling& object);

  GrammarRules& rules_;
  SchemaExpander& expander_;
  const ValueSpelling spelling_;
  Dfa allowed_;  // in strings and names; empty where all texts are
  std::map<std::pair<std::int64_t, std::int64_t>, std::int32_t> strings_;
  std::map<SchemaGoal, std::int32_t> rule_of_;
  std::vector<SchemaGoal> todo_;
  std::vector<std::pair<Dfa, std::int32_t>> numbers_;
};

}  // namespace skua
