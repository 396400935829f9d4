#pragma once

#include <string_view>

#include "base/json.h"

namespace skua {

/** Which tools an answer may call, and whether it must. */
struct ToolChoice {
  Json tools = Json::array();
  bool required = false;
};

/** What `tool_choice` makes of `tools`, as in OpenAI's API.
 *  tools   a JSON list as ToolSchemas takes it; empty where there are none
 *  choice  auto: all may be called; required: at least one must be; none; or
 *          the name of the one that must be
 *  Throws InvalidInput that names the field. */
ToolChoice choose_tools(std::string_view tools, std::string_view choice);

}  // namespace skua
