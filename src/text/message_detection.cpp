#include <algorithm>

#include "base/json.h"
#include "skua/error.h"
#include "text/message_format.h"

namespace skua {
namespace {

// A template with all of `marks` has the format; the first rule that holds.
struct Rule {
  std::string_view format;
  std::vector<std::string_view> marks;
};

const std::vector<Rule>& rules() {
  static const std::vector<Rule> kRules = {
      {"minimax_m2", {"<minimax:tool_call>"}},
      {"gpt_oss", {"<|channel|>", "<|message|>"}},
      {"gemma4", {"<|tool_call>", "<tool_call|>"}},
      {"function_gemma", {"<start_function_call>"}},
      {"longcat", {"<longcat_tool_call>"}},
      {"seed_oss", {"<seed:tool_call>"}},
      {"seed_oss", {"seed:tool_call", "<function="}},
      {"deepseek_v32", {"｜DSML｜"}},
      {"deepseek_v3", {"<｜tool▁call▁begin｜>"}},
      {"kimi_k2", {"<|tool_call_begin|>"}},
      {"kimi_k2", {"<|tool_calls_section_begin|>"}},
      {"mirothinker", {"<use_mcp_tool>"}},
      {"glm", {"<arg_key>", "<arg_value>"}},
      {"qwen3_coder", {"<tool_call>", "<function="}},
      {"functionary_v31", {"<function=", "<|python_tag|>"}},
      {"functionary_v32", {">>>all"}},
      {"functionary_v32", {">>>", "namespace functions"}},
      {"command_r7b", {"<|START_ACTION|>"}},
      {"command_r", {"Action:", "```json", "tool_name"}},
      {"apertus", {"<|tools_prefix|>"}},
      {"gigachat", {"<|role_sep|>", "function call"}},
      {"gigachat", {"<|function_call|>", "message_sep"}},
      {"apriel", {"<tool_calls>", "[BEGIN FINAL RESPONSE]"}},
      {"apriel", {"<tool_calls>", "reasoning steps"}},
      {"jamba", {"<tool_calls>"}},
      {"nemotron_v2", {"<TOOLCALL>"}},
      {"firefunction_v1", {"<functioncall>"}},
      {"functionary_v2", {"<|recipient|>"}},
      {"minicpm3", {"<|tool_call_start|>", "```python"}},
      {"mistral", {"[TOOL_CALLS]"}},
      {"lfm2", {"<|tool_call_start|>"}},
      {"lfm2", {"List of tools:", "<|im_start|>"}},
      {"firefunction", {"functools["}},
      {"granite", {"<|start_of_role|>", "<|tool_call|>"}},
      {"phi4_mini", {"<|tool|>", "<|/tool|>"}},
      {"llama4_pythonic", {"<|python_start|>"}},
      {"hermes", {"<tool_call>"}},
      {"llama3", {"<|start_header_id|>", "ipython"}},
      {"gemma3", {"<start_of_turn>"}},
      {"hermes", {"<|im_start|>"}},
  };
  return kRules;
}

}  // namespace

const MessageFormat& detect_message_format(std::string_view chat_template) {
  for (const auto& rule : rules()) {
    const bool holds = std::ranges::all_of(rule.marks, [&](auto mark) {
      return chat_template.find(mark) != std::string_view::npos;
    });
    if (holds) return message_format(rule.format);
  }
  return message_format("plain");
}

const MessageFormat& choose_message_format(std::string_view override_name,
                                           std::string_view tool_parser_type,
                                           std::string_view chat_template) {
  if (!override_name.empty()) return message_format(override_name);
  if (const auto* format = find_message_format(tool_parser_type))
    return *format;
  return detect_message_format(chat_template);
}

std::string find_tool_parser_type(const std::filesystem::path& folder) {
  const auto path = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return "";
  const Json config = read_json(path);
  if (!config.is_object())
    throw InvalidInput(path.string(), "is not a JSON object");
  const auto type = config.find("tool_parser_type");
  if (type == config.end() || type->is_null()) return "";
  if (!type->is_string())
    throw InvalidInput(
        path.string() + ".tool_parser_type",
        std::string("got ") + type->type_name() + ", expected a string");
  return type->get<std::string>();
}

}  // namespace skua
