#pragma once

#include <string>

#include "base/json.h"

namespace skua {

class ChatTemplate;

/** What a template shows of a role's messages: content that is a text, and
 * content that is a list of parts such as {"type": "text", "text": ...}. */
struct ContentForms {
  bool text = true, parts = true;
};

/** Found by rendering a conversation with a message of each kind. Where neither
 *  is shown, they are those of the user; where that role's are not either, as
 *  by a template that refuses a message alone, both are true.
 *  role  user, system, assistant or tool */
ContentForms probe_content_forms(const ChatTemplate& chat_template,
                                 const std::string& role);

/** `messages` as this template takes them: a list of text parts becomes one
 *  text with line ends between them, or a text a list of one part.
 *  Throws InvalidInput naming the part where one of another type would be lost.
 *  Source: vLLM and llama.cpp, which join parts alike. */
Json with_content_forms(Json messages, const ChatTemplate& chat_template);

}  // namespace skua
