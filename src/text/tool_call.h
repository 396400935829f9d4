#pragma once

#include <string>
#include <vector>

namespace skua {

/** A function that the model wants to be called. */
struct ToolCall {
  std::string id;         // unique within the message
  std::string name;       // not empty
  std::string arguments;  // JSON text that parse_json takes, mostly an object
};

}  // namespace skua
