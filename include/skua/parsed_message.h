#pragma once

#include <string>
#include <vector>

namespace skua {

/** A function that the model wants to be called. */
struct ToolCall {
  std::string id;         // unique within the message
  std::string name;       // not empty
  std::string arguments;  // JSON text, mostly of an object
};

/** An answer in its parts, or what came to them. Calls come whole, so that
 *  what turns out to be none can still be content. */
struct ParsedMessage {
  std::string reasoning = {}, content = {};
  std::vector<ToolCall> calls = {};
};

}  // namespace skua
