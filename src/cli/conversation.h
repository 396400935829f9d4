#pragma once

#include <string>
#include <vector>

#include "skua/message.h"

namespace skua::cli {

/** The messages of a JSON file: a list as text/chat_messages.h reads it, or an
 *  object with one as "messages". Throws NotFound, InvalidInput, Error that
 *  name the file. */
std::vector<Message> read_conversation(const std::string& path);

}  // namespace skua::cli
