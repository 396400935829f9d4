#include "cli/conversation.h"

#include "base/json.h"
#include "cli/json_argument.h"
#include "skua/error.h"
#include "text/chat_messages.h"

namespace skua::cli {

std::vector<Message> read_conversation(const std::string& argument) {
  const std::string where = is_json_text(argument) ? "messages" : argument;
  const Json json = json_argument(argument, where);
  const Json list = json.is_object() ? json.value("messages", Json()) : json;
  if (!list.is_array()) {
    throw InvalidInput(where,
                       "holds no conversation, expected {\"messages\": "
                       "[{\"role\": ..., \"content\": ...}]}");
  }
  try {
    return read_messages(list);
  } catch (const InvalidInput& error) {
    throw InvalidInput(where, error.what());
  }
}

}  // namespace skua::cli
