#include "text/chat_messages.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

void check_keys(const Json& object, const std::string& where,
                std::initializer_list<std::string_view> known) {
  if (!object.is_object())
    throw InvalidInput(where, std::string("got ") + object.type_name() +
                                  ", expected an object");
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string list;
    for (const auto each : known)
      list += (list.empty() ? "" : ", ") + std::string(each);
    throw InvalidInput(where, "has " + quote(key) + ", expected " + list);
  }
}

// Empty where it is absent or null.
std::string optional_text(const Json& object, const char* key,
                          const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  if (!found->is_string())
    throw InvalidInput(
        where + "." + key,
        std::string("got ") + found->type_name() + ", expected a text");
  return found->get<std::string>();
}

std::string text(const Json& object, const char* key,
                 const std::string& where) {
  if (!object.contains(key))
    throw InvalidInput(where, "has no " + quote(key) + ", expected a text");
  if (object[key].is_null())
    throw InvalidInput(where + "." + key, "got null, expected a text");
  return optional_text(object, key, where);
}

ToolCall read_call(const Json& json, const std::string& where) {
  check_keys(json, where, {"id", "type", "function", "index"});
  if (json.value("type", Json("function")) != "function")
    throw InvalidInput(where + ".type", "expected \"function\"");
  const Json function = json.value("function", Json());
  const std::string at = where + ".function";
  check_keys(function, at, {"name", "arguments"});
  ToolCall call = {.id = optional_text(json, "id", where),
                   .name = text(function, "name", at),
                   .arguments = "{}"};
  if (call.name.empty()) throw InvalidInput(at + ".name", "is empty");
  const Json arguments = function.value("arguments", Json());
  if (arguments.is_string()) {
    call.arguments = arguments.get<std::string>();
    parse_json(call.arguments, at + ".arguments");
  } else if (!arguments.is_null()) {
    call.arguments = dump_json(arguments);
  }
  return call;
}

std::vector<ToolCall> read_calls(const Json& list, const std::string& where) {
  if (!list.is_array())
    throw InvalidInput(where, std::string("got ") + list.type_name() +
                                  ", expected a list of calls");
  std::vector<ToolCall> calls;
  for (const Json& each : list)
    calls.push_back(
        read_call(each, where + "[" + std::to_string(calls.size()) + "]"));
  return calls;
}

Message read_message(const Json& json, const std::string& where) {
  check_keys(json, where,
             {"role", "content", "reasoning_content", "tool_calls",
              "tool_call_id", "name"});
  Message message = {.role = text(json, "role", where), .content = ""};
  message.reasoning = optional_text(json, "reasoning_content", where);
  message.tool_call_id = optional_text(json, "tool_call_id", where);
  message.name = optional_text(json, "name", where);
  const Json calls = json.value("tool_calls", Json());
  if (!calls.is_null())
    message.tool_calls = read_calls(calls, where + ".tool_calls");
  message.content = message.tool_calls.empty()
                        ? text(json, "content", where)
                        : optional_text(json, "content", where);
  return message;
}

}  // namespace

std::vector<Message> read_messages(const Json& list) {
  if (!list.is_array() || list.empty())
    throw InvalidInput("messages",
                       "expected a list of {\"role\": ..., \"content\": ...}");
  std::vector<Message> messages;
  for (const Json& each : list)
    messages.push_back(read_message(
        each, "messages[" + std::to_string(messages.size()) + "]"));
  return messages;
}

Json messages_json(const std::vector<Message>& messages) {
  Json list = Json::array();
  for (const Message& message : messages) {
    Json json = {{"role", message.role}, {"content", message.content}};
    if (!message.reasoning.empty())
      json["reasoning_content"] = message.reasoning;
    if (!message.tool_calls.empty())
      json["tool_calls"] = calls_json(message.tool_calls);
    if (!message.tool_call_id.empty())
      json["tool_call_id"] = message.tool_call_id;
    if (!message.name.empty()) json["name"] = message.name;
    list.push_back(std::move(json));
  }
  return list;
}

Json calls_json(const std::vector<ToolCall>& calls) {
  Json list = Json::array();
  for (const ToolCall& call : calls) {
    list.push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return list;
}

}  // namespace skua
