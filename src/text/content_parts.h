#pragma once

#include "base/json.h"

namespace skua {

class ChatTemplate;

/** What a template shows of a message: content that is a text, and content
 *  that is a list of parts such as {"type": "text", "text": ...}. */
struct ContentForms {
  bool text = true, parts = true;
};

/** Found by rendering a message of each kind. Where neither is shown, as by a
 *  template that refuses a message alone, it is not known: both are true. */
ContentForms probe_content_forms(const ChatTemplate& chat_template);

/** `messages` as a template of these forms takes them: a list of text parts
 *  becomes one text with line ends between them, or a text a list of one part.
 *  Throws InvalidInput naming the part where one of another type would be lost.
 *  Source: vLLM and llama.cpp, which join parts alike. */
Json with_content_forms(Json messages, const ContentForms& forms);

}  // namespace skua
