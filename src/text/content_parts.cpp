#include "text/content_parts.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/quote.h"
#include "skua/error.h"
#include "text/chat_template.h"

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

bool shows(const ChatTemplate& chat_template, const Json& content) {
  const Json message = {{"role", "user"}, {"content", content}};
  const Json tool = {
      {"type", "function"},
      {"function",
       {{"name", "f"},
        {"description", "f"},
        {"parameters", {{"type", "object"}, {"properties", Json::object()}}}}}};
  ChatTemplateOptions options;
  options.bos_token = options.eos_token = "";
  options.content_as_given = true;
  // Some are for conversations with tools alone.
  for (const Json& tools : {Json(), Json::array({tool})}) {
    options.tools = tools;
    try {
      const std::string text =
          apply_chat_template(chat_template, Json::array({message}), options);
      if (text.find(kNeedle) != text.npos && !is_printed(text)) return true;
    } catch (const InvalidInput&) {
      continue;
    }
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

ContentForms probe_content_forms(const ChatTemplate& chat_template) {
  const ContentForms forms = {
      shows(chat_template, kNeedle),
      shows(chat_template, Json::array({part_of(kNeedle)}))};
  return forms.text || forms.parts ? forms : ContentForms{};
}

Json with_content_forms(Json messages, const ContentForms& forms) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto content = messages[i].find("content");
    if (content == messages[i].end()) continue;
    if (content->is_array() && !forms.parts) {
      *content = joined(*content, "messages[" + std::to_string(i) + "]");
    } else if (content->is_string() && !forms.text) {
      *content = Json::array({part_of(content->get<std::string>())});
    }
  }
  return messages;
}

}  // namespace skua
