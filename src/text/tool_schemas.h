#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/json.h"

namespace skua {

/** What the JSON schemas of the tools say about the types of arguments. Many
 *  formats write an argument as bare text, so that "5" may be a number or a
 *  string. */
class ToolSchemas {
 public:
  /** `tools` is null or an array of {"name", "parameters"}, each of which may
   *  stand under "function". Throws InvalidInput naming the tool. */
  explicit ToolSchemas(const Json& tools);

  bool empty() const { return tools_.empty(); }
  bool has(std::string_view tool) const;

  /** The value of an argument given as `text`, as JSON text. What the schema
   *  allows is tried in the order null, integer, number, boolean, object,
   *  array; then a string where it is allowed; else, and where the tool is
   *  unknown, what JSON or Python reads, and a string if neither does. */
  std::string argument(std::string_view tool, std::string_view name,
                       std::string_view text) const;

 private:
  std::map<std::string, std::map<std::string, unsigned, std::less<>>,
           std::less<>>
      tools_;  // tool -> argument -> kinds allowed, 0 for any
};

}  // namespace skua
