#pragma once

#include <string>

#include "base/json.h"

namespace skua {

class ChatTemplate;

/** How a template wants an assistant's message with tool calls. */
struct CallForms {
  bool known = false;           // else messages are given to it as they are
  bool text_arguments = false;  // arguments as JSON text, else as an object
  bool null_content = false;    // no content is null, else ""
  /** The key of the reasoning that it shows. */
  std::string reasoning = "reasoning_content";
};

/** Found by rendering a call in each form; that with an object and "" comes
 *  first. Not known where a template shows no call in any. */
CallForms probe_call_forms(const ChatTemplate& chat_template);

/** `messages` as such a template takes them. Throws InvalidInput naming the
 *  call whose arguments are a text that is no JSON.
 *  Source: llama.cpp, whose templates are asked alike. */
Json with_call_forms(Json messages, const CallForms& forms);

}  // namespace skua
