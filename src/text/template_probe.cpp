#include "text/template_probe.h"

#include "skua/error.h"
#include "text/chat_template.h"

namespace skua {
namespace {

constexpr const char* kTool = "skua_tool";
constexpr const char* kKey = "skua_key";
constexpr const char* kId = "skua00001";  // of nine, as Mistral asks for

Json tools() {
  const Json properties = {
      {kKey, {{"type", "string"}, {"description", "A text."}}}};
  const Json function = {{"name", kTool},
                         {"description", "A tool."},
                         {"parameters",
                          {{"type", "object"},
                           {"properties", properties},
                           {"required", Json::array({kKey})}}}};
  return Json::array({{{"type", "function"}, {"function", function}}});
}

}  // namespace

Json probe_of_call(const Json& result) {
  const Json function = {{"name", kTool},
                         {"arguments", {{kKey, "skua value"}}}};
  const Json call = {{"id", kId}, {"type", "function"}, {"function", function}};
  return Json::array({{{"role", "user"}, {"content", "skua asks"}},
                      {{"role", "assistant"},
                       {"content", ""},
                       {"tool_calls", Json::array({call})}},
                      {{"role", "tool"},
                       {"name", kTool},
                       {"tool_call_id", kId},
                       {"content", result}}});
}

std::optional<std::string> probe(const ChatTemplate& chat_template,
                                 const Json& messages, bool with_tools) {
  ChatTemplateOptions options;
  options.bos_token = options.eos_token = "";
  options.messages_as_given = true;
  // Firefunction asks for these.
  options.extra = {{"functions", ""}, {"datetime", ""}};
  if (with_tools) options.tools = tools();
  try {
    return apply_chat_template(chat_template, messages, options);
  } catch (const InvalidInput&) {
    return std::nullopt;
  }
}

}  // namespace skua
