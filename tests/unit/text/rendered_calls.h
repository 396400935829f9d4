#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"
#include "text/chat_template.h"
#include "text/message_format.h"

// Tool calls as real chat templates render them.
namespace skua::test::rendered {

inline Json tools() {
  return Json::parse(R"([
    {"type": "function", "function": {"name": "get_weather",
      "description": "Weather", "parameters": {
        "type": "object", "required": ["city"], "properties": {
          "city": {"type": "string", "description": "city"},
          "days": {"type": "integer", "description": "days"},
          "exact": {"type": "boolean", "description": "exact"},
          "deep": {"type": "object", "description": "deep",
                   "properties": {},
                   "additionalProperties": {"type": "string"}}}}}},
    {"type": "function", "function": {"name": "search",
      "description": "Search", "parameters": {
        "type": "object", "required": ["q"], "properties": {
          "q": {"type": "string", "description": "query"}}}}},
    {"type": "function", "function": {"name": "now", "description": "Time",
      "parameters": {"type": "object", "required": [], "properties": {}}}}])");
}

inline Json call(const std::string& id, const std::string& name,
                 const char* json) {
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", Json::parse(json)}}}};
}

// The calls of one answer each.
inline std::vector<Json> conversations() {
  return {
      Json::array(
          {call(
               "call00001", "get_weather",
               R"({"city": "S\u00e3o \"P\"", "days": 12345678901, "exact": true,
                    "deep": {"a": [1, "x", {"b": 2.5}], "c": false}})"),
           call("call00002", "search", R"({"q": "x\n  <y> \\ 'z' {[,"})")}),
      Json::array({call("call00003", "now", "{}")}),
      Json::array({call("call00004", "search", R"({"q": "5"})"),
                   call("call00005", "now", "{}")}),
  };
}

struct Form {
  bool text_arguments;
  const char* content;
};

// What templates can take differs.
inline constexpr Form kForms[] = {
    {false, "CCC"}, {true, "CCC"}, {false, ""}, {true, ""}, {true, nullptr}};

inline Json messages_with(const Json& calls, const Form& form) {
  Json answer = {{"role", "assistant"},
                 {"content", form.content ? Json(form.content) : Json()},
                 {"tool_calls", calls}};
  if (form.text_arguments)
    for (auto& each : answer["tool_calls"])
      each["function"]["arguments"] = each["function"]["arguments"].dump();
  return Json::array({{{"role", "user"}, {"content", "QQQ"}}, answer});
}

inline std::optional<std::string> render(const ChatTemplate& chat_template,
                                         const Json& messages, bool prompt) {
  ChatTemplateOptions options;
  options.add_generation_prompt = prompt;
  options.bos_token = "<BOS>";
  options.eos_token = "<EOS>";
  options.extra = {{"functions", "F"},
                   {"datetime", "D"},
                   {"tool", {{"name", "x"}, {"description", "d"}}},
                   {"answer", messages.back()}};
  for (const Json& each : {tools(), Json()}) {
    options.tools = each;
    try {
      return apply_chat_template(chat_template, messages, options);
    } catch (const InvalidInput&) {
    }
  }
  return std::nullopt;
}

inline ChatTemplate read_template(const std::filesystem::path& folder,
                                  const char* name) {
  std::string source = read_text(folder / (std::string(name) + ".jinja"));
  // Kimi's templates change a list in ways that the sandbox refuses.
  const std::string append =
      "{%- set _ = tool_response_queue.ids.append(formatted_id) -%}";
  if (const auto found = source.find(append); found != std::string::npos)
    source.erase(found, append.size());
  // MiroThinker's changes messages; what writes a call in it is this macro.
  const auto macros = source.find("{%- macro render_tool_call()");
  const auto behind = source.find("{#- ==", macros);
  if (macros != std::string::npos && behind != std::string::npos)
    source.insert(behind,
                  "{% set message = answer %}{% if message.tool_calls %}"
                  "{{ message.content }}{{ render_tool_call() }}{% endif %}"
                  "{% if false %}") += "{% endif %}";
  return ChatTemplate(source, name);
}

// Where the answer begins in `text`: behind what the prompt has, too, but not
// within a marker of which the prompt has a part by chance.
inline std::size_t answer_start(const MessageFormat& format,
                                std::string_view text,
                                std::string_view prompt) {
  std::size_t start = 0;
  while (start < std::min(text.size(), prompt.size()) &&
         text[start] == prompt[start])
    ++start;
  std::vector<std::string_view> marks = format.before_calls;
  for (const auto& each : format.reasoning) marks.push_back(each.open);
  for (const auto& each : format.calls) marks.push_back(each.open);
  for (const auto mark : marks)
    for (std::size_t n = 1; n < mark.size() && n <= start; ++n)
      if (text.substr(start - n).starts_with(mark)) return start - n;
  return start;
}

struct Turn {
  std::string text, open;
};

// The answer with `calls` as the template writes it, in the first form in
// which it shows them all.
inline std::optional<Turn> render_turn(const ChatTemplate& chat_template,
                                       const MessageFormat& format,
                                       const Json& calls) {
  for (const auto& form : kForms) {
    const Json messages = messages_with(calls, form);
    const auto whole = render(chat_template, messages, false);
    const auto prompt = render(chat_template, Json::array({messages[0]}), true);
    if (!whole || !prompt) continue;
    const std::size_t start = answer_start(format, *whole, *prompt);
    Turn turn{whole->substr(start),
              std::string(open_marker(format, whole->substr(0, start)))};
    bool shows_all = true;
    for (const auto& each : calls)
      shows_all &=
          turn.text.find(each["function"]["name"]) != std::string::npos;
    if (shows_all) return turn;
  }
  return std::nullopt;
}

}  // namespace skua::test::rendered
