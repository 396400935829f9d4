#pragma once

#include <vector>

#include "base/json.h"
#include "skua/message.h"

namespace skua {

/** A conversation as JSON: a list, not empty, of {"role", "content"}; of an
 *  assistant also "reasoning_content" and "tool_calls", each {"id", "type":
 *  "function", "function": {"name", "arguments"}} with arguments as JSON or its
 *  text; of a tool also "tool_call_id" and "name". Content is a text; beside
 *  tool calls it may be null or absent. Other keys are refused.
 *  Throws InvalidInput that names the message. Source: OpenAI's chat API. */
std::vector<Message> read_messages(const Json& list);

/** The same list, with what is empty left out but for the content. */
Json messages_json(const std::vector<Message>& messages);

/** Its calls as JSON, their arguments as text. */
Json calls_json(const std::vector<ToolCall>& calls);

}  // namespace skua
