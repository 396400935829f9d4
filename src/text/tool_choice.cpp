#include "text/tool_choice.h"

#include "base/quote.h"
#include "skua/error.h"
#include "text/tool_schemas.h"

namespace skua {
namespace {

const Json& name_of(const Json& tool) {
  return tool.contains("function") ? tool["function"]["name"] : tool["name"];
}

Json one_named(const Json& tools, std::string_view name) {
  std::string names;
  for (const Json& tool : tools) {
    if (name_of(tool) == name) return Json::array({tool});
    names += (names.empty() ? "" : ", ") + name_of(tool).get<std::string>();
  }
  throw InvalidInput("options", "tool_choice: got " + quote(name) +
                                    ", expected auto, required, none or one "
                                    "of the tools " +
                                    names);
}

void check_tools(const Json& tools) {
  try {
    const ToolSchemas checked(tools);
  } catch (const InvalidInput& error) {
    const std::string text = error.what();
    const auto end = text.find("] has");
    throw InvalidInput("options", "tools: got " + text.substr(1, end - 1) +
                                      ", which" + text.substr(end + 1));
  }
}

}  // namespace

ToolChoice choose_tools(std::string_view tools, std::string_view choice) {
  if (tools.empty()) {
    if (choice == "auto" || choice == "none") return {};
    throw InvalidInput("options", "tool_choice: got " + quote(choice) +
                                      ", expected tools with it");
  }
  Json list = parse_json(tools, "tools");
  if (!list.is_array() || list.empty())
    throw InvalidInput(
        "options", std::string("tools: got ") +
                       (list.is_array() ? "an empty list" : list.type_name()) +
                       ", expected a list such as [{\"type\": "
                       "\"function\", \"function\": {\"name\": ...}}]");
  check_tools(list);
  if (choice == "auto") return {std::move(list), false};
  if (choice == "required") return {std::move(list), true};
  if (choice == "none") return {};
  return {one_named(list, choice), true};
}

}  // namespace skua
