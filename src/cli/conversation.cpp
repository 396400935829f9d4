#include "cli/conversation.h"

#include "base/json.h"
#include "skua/error.h"
#include "text/chat_messages.h"

namespace skua::cli {

std::vector<Message> read_conversation(const std::string& path) {
  const Json json = read_json(path);
  const Json list = json.is_object() ? json.value("messages", Json()) : json;
  if (!list.is_array()) {
    throw InvalidInput(path,
                       "holds no conversation, expected {\"messages\": "
                       "[{\"role\": ..., \"content\": ...}]}");
  }
  try {
    return read_messages(list);
  } catch (const InvalidInput& error) {
    throw InvalidInput(path, error.what());
  }
}

}  // namespace skua::cli
