#include "cli/json_argument.h"

namespace skua::cli {

bool is_json_text(const std::string& argument) {
  const auto begin = argument.find_first_not_of(" \t\r\n");
  return begin != argument.npos &&
         (argument[begin] == '{' || argument[begin] == '[');
}

Json json_argument(const std::string& argument, const std::string& where) {
  return is_json_text(argument) ? parse_json(argument, where)
                                : read_json(argument);
}

}  // namespace skua::cli
