#pragma once

#include <string>
#include <vector>

#include "skua/message.h"

namespace skua::cli {

/** The messages of JSON, or of a file of it: a list as text/chat_messages.h
 *  reads it, or an object with one as "messages". Throws NotFound,
 *  InvalidInput, Error that name the file. */
std::vector<Message> read_conversation(const std::string& argument);

}  // namespace skua::cli
