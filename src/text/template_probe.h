#pragma once

#include <optional>
#include <string>

#include "base/json.h"

namespace skua {

class ChatTemplate;

/** A question, a call of skua_tool with arguments {"skua_key": "skua value"},
 *  and its result. */
Json probe_of_call(const Json& result);

/** What the template makes of messages, passed on as they are, beside a tool
 *  skua_tool or without tools; none where it refuses them. */
std::optional<std::string> probe(const ChatTemplate& chat_template,
                                 const Json& messages, bool with_tools);

}  // namespace skua
