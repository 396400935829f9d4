#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/grammar_rules.h"
#include "text/tool_forms.h"

namespace skua {

/** A function that may be called; `parameters` is the JSON schema of the
 *  object of its arguments. */
struct Tool {
  std::string name;
  Json parameters;
};

/** Tools as ToolSchemas takes them. Throws InvalidInput for what is none, and
 *  Unsupported for a name with other characters than letters, digits, `_`,
 *  `-`, `.` and `/`, which no format would let stand. */
std::vector<Tool> read_tools(const Json& tools);

/** Writes the arguments of a tool as rules. All are valid under its parameters
 *  once ToolSchemas has read them. */
class ToolArguments {
 public:
  explicit ToolArguments(GrammarRules& rules) : rules_(rules) {}

  /** The rule of the arguments of `tool` in `form`. Throws Unsupported naming
   *  the tool and what cannot be enforced. */
  std::int32_t write(const Tool& tool, const CallForm& form);

 private:
  std::int32_t object(const Tool& tool, const CallForm& form);
  std::int32_t tagged(const Tool& tool, const CallForm& form);
  GrammarSequence argument(const std::string& key, const Json& schema,
                           const CallForm& form);

  GrammarRules& rules_;
  // By the tool's name: the forms of a format spell arguments alike.
  std::map<std::string, std::int32_t> objects_;
};

}  // namespace skua
