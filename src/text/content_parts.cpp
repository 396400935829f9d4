#include "text/content_parts.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/quote.h"
#include "skua/error.h"
#include "text/call_forms.h"
#include "text/chat_template.h"
#include "text/template_probe.h"

namespace skua {
namespace {

constexpr std::string_view kNeedle = "skua shows what is said";

Json part_of(std::string_view text) {
  return {{"type", "text"}, {"text", text}};
}

// A list that is printed instead of looked through.
bool is_printed(std::string_view text) {
  for (const std::string_view mark :
       {"'type': 'text'", "\"type\": \"text\"", "\"type\":\"text\""})
    if (text.find(mark) != text.npos) return true;
  return false;
}

Json message(const char* role, const Json& content) {
  return {{"role", role}, {"content", content}};
}

// The shortest conversation with such a message that templates take.
Json conversation(const std::string& role, const Json& content) {
  const Json question = message("user", "skua asks");
  if (role == "system")
    return Json::array({message("system", content), question});
  if (role == "assistant")
    return Json::array({question, message("assistant", content), question});
  if (role == "tool") return probe_of_call(content);
  return Json::array({message("user", content)});
}

bool shows(const ChatTemplate& chat_template, const std::string& role,
           const Json& content) {
  Json messages = conversation(role, content);
  if (role == "tool")
    messages = with_call_forms(std::move(messages), chat_template.call_forms());
  // Some are for conversations with tools alone.
  for (const bool with_tools : {false, true}) {
    const auto text = probe(chat_template, messages, with_tools);
    if (text && text->find(kNeedle) != text->npos && !is_printed(*text))
      return true;
  }
  return false;
}

bool has_type(const Json& part, const char* type) {
  return part.is_object() && part.value("type", Json()) == type;
}

std::string joined(const Json& parts, const std::string& where) {
  std::string all;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string at = where + ".content[" + std::to_string(i) + "]";
    const Json& part = parts[i];
    if (!has_type(part, "text"))
      throw InvalidInput(
          at,
          "got a part of type " +
              (part.is_object() ? part.value("type", Json()) : part).dump() +
              ", expected \"text\": the chat template shows texts alone");
    if (!part.contains("text") || !part["text"].is_string())
      throw InvalidInput(at, "has no 'text', expected a string");
    if (i > 0) all += '\n';
    all += part["text"].get_ref<const std::string&>();
  }
  return all;
}

}  // namespace

ContentForms probe_content_forms(const ChatTemplate& chat_template,
                                 const std::string& role) {
  const ContentForms forms = {
      shows(chat_template, role, kNeedle),
      shows(chat_template, role, Json::array({part_of(kNeedle)}))};
  if (forms.text || forms.parts) return forms;
  return role == "user" ? ContentForms{} : chat_template.content_forms("user");
}

Json with_content_forms(Json messages, const ChatTemplate& chat_template) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto content = messages[i].find("content");
    if (content == messages[i].end()) continue;
    if (!content->is_array() && !content->is_string()) continue;
    const ContentForms forms =
        chat_template.content_forms(messages[i]["role"].get<std::string>());
    if (content->is_array() && !forms.parts) {
      *content = joined(*content, "messages[" + std::to_string(i) + "]");
    } else if (content->is_string() && !forms.text) {
      *content = Json::array({part_of(content->get<std::string>())});
    }
  }
  return messages;
}

}  // namespace skua
