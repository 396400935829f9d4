#pragma once

#include <string>
#include <vector>

#include "skua/parsed_message.h"

namespace skua {

/** A message of a conversation. Fields that its role has no use for are empty.
 */
struct Message {
  std::string role;  // system, user, assistant or tool
  std::string content;
  std::string reasoning = {};             // of an assistant
  std::vector<ToolCall> tool_calls = {};  // of an assistant
  std::string tool_call_id = {};          // of a tool: what it answers
  std::string name = {};                  // of a tool
};

}  // namespace skua
