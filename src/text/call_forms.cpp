#include "text/call_forms.h"

#include <optional>
#include <string_view>

#include "skua/error.h"
#include "text/chat_template.h"
#include "text/template_probe.h"

namespace skua {
namespace {

constexpr const char* kValue = "skua value";
constexpr const char* kQuestion = "skua asks";
constexpr const char* kThought = "skua thinks";
constexpr const char* kReasoningKeys[] = {"reasoning_content", "reasoning",
                                          "thinking"};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

// As Jinja's tojson writes it, which is how clients send it.
std::string json_text(const Json& value) {
  return ChatTemplate("{{ value | tojson }}").render({{"value", value}});
}

std::optional<std::string> render(const ChatTemplate& chat_template,
                                  const CallForms& forms,
                                  const char* reasoning_key = nullptr) {
  Json messages = probe_of_call("skua tells");
  if (reasoning_key) messages[1][reasoning_key] = kThought;
  return probe(chat_template, with_call_forms(std::move(messages), forms),
               /*with_tools=*/true);
}

// As a call, that is neither as a string within a string nor as Python prints
// a dictionary, and without a null printed.
bool shows_call(const std::optional<std::string>& text) {
  if (!text) return false;
  const std::size_t question = text->rfind(kQuestion);
  const auto answer =
      std::string_view(*text).substr(question == text->npos ? 0 : question);
  return contains(answer, kValue) && !contains(answer, "\\\"skua_key") &&
         !contains(answer, "'skua_key'") && !contains(answer, "None");
}

Json as_object(const Json& arguments, const std::string& where) {
  return arguments.is_string()
             ? parse_json(arguments.get_ref<const std::string&>(), where)
             : arguments;
}

void fit_call(Json& call, bool text_arguments, const std::string& where) {
  if (!call.is_object()) return;
  // Some clients leave the function's own object out.
  const auto inner = call.find("function");
  Json& function = inner == call.end() ? call : *inner;
  if (!function.is_object() || !function.contains("arguments")) return;
  Json& arguments = function["arguments"];
  if (arguments.is_null()) arguments = Json::object();
  if (text_arguments) {
    if (!arguments.is_string()) arguments = json_text(arguments);
  } else {
    arguments = as_object(arguments, where + ".arguments");
  }
}

void fit_message(Json& message, const CallForms& forms,
                 const std::string& where) {
  Json& calls = message["tool_calls"];
  for (std::size_t i = 0; i < calls.size(); ++i)
    fit_call(calls[i], forms.text_arguments,
             where + ".tool_calls[" + std::to_string(i) + "].function");
  Json& content = message["content"];
  const bool is_empty = content.is_null() || content == "";
  if (is_empty) content = forms.null_content ? Json() : Json("");
}

void rename_reasoning(Json& message, const std::string& wanted) {
  if (message.contains(wanted)) return;
  // gpt-oss, which alone calls it so, refuses it beside content.
  const Json content = message.value("content", Json());
  if (wanted == "thinking" && !content.is_null() && content != "") return;
  for (const char* key : kReasoningKeys) {
    const auto found = message.find(key);
    if (found == message.end() || !found->is_string()) continue;
    message[wanted] = Json(*found);
    return;
  }
}

}  // namespace

CallForms probe_call_forms(const ChatTemplate& chat_template) {
  CallForms forms{.known = true};
  for (const bool text_arguments : {false, true}) {
    for (const bool null_content : {false, true}) {
      forms.text_arguments = text_arguments;
      forms.null_content = null_content;
      if (!shows_call(render(chat_template, forms))) continue;
      for (const char* key : kReasoningKeys) {
        forms.reasoning = key;
        const auto text = render(chat_template, forms, key);
        if (text && contains(*text, kThought)) return forms;
      }
      forms.reasoning = kReasoningKeys[0];
      return forms;
    }
  }
  return {};
}

Json with_call_forms(Json messages, const CallForms& forms) {
  if (!forms.known) return messages;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Json& message = messages[i];
    if (message["role"] != "assistant") continue;
    rename_reasoning(message, forms.reasoning);
    const auto calls = message.find("tool_calls");
    if (calls == message.end() || !calls->is_array() || calls->empty())
      continue;
    fit_message(message, forms, "messages[" + std::to_string(i) + "]");
  }
  return messages;
}

}  // namespace skua
