#include "text/message_format.h"

#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr ReasoningMarks kThink = {"<think>", "</think>"};

CallMarks call(std::string_view open, MakeCallReader reader) {
  return {.open = open, .reader = reader};
}

// A bracket that begins a call where a message begins.
CallMarks bare_call(std::string_view open, MakeCallReader reader) {
  return {
      .open = open, .reader = reader, .at_border = true, .keeps_open = true};
}

// A special token, which reasoning does not hold by chance.
CallMarks special_call(std::string_view open, MakeCallReader reader) {
  return {.open = open, .reader = reader, .ends_reasoning = true};
}

std::vector<MessageFormat> tagged_formats() {
  return {
      {.name = "plain", .reasoning = {kThink}},
      {.name = "hermes",
       .aliases = {"json_tools", "qwen", "qwen3", "granite4"},
       .reasoning = {kThink},
       .calls = {call("<tool_call>", json_call_reader)},
       .after_calls = {"</tool_call>"}},
      {.name = "qwen3_coder",
       .aliases = {"qwen3_xml", "nemotron_v3", "step3p5"},
       .reasoning = {kThink},
       .calls = {call("<function=", function_tag_call_reader)},
       .before_calls = {"<tool_call>"},
       .after_calls = {"</tool_call>"}},
      {.name = "seed_oss",
       .reasoning = {{"<seed:think>", "</seed:think>"}},
       .calls = {call("<function=", function_tag_call_reader)},
       .before_calls = {"<seed:tool_call>"},
       .after_calls = {"</seed:tool_call>"}},
      {.name = "glm",
       .aliases = {"glm45", "glm47"},
       .reasoning = {kThink},
       .calls = {call("<tool_call>", glm_call_reader)}},
      {.name = "longcat",
       .reasoning = {{"<longcat_think>", "</longcat_think>"}},
       .calls = {call("<longcat_tool_call>", longcat_call_reader)}},
      {.name = "minimax_m2",
       .reasoning = {kThink},
       .calls = {call("<minimax:tool_call>", minimax_call_reader)}},
      {.name = "mirothinker",
       .reasoning = {kThink},
       .calls = {call("<use_mcp_tool>", mcp_call_reader)}},
      {.name = "granite",
       .reasoning = {kThink},
       .calls = {call("<|tool_call|>", json_call_reader),
                 call("<tool_call>", json_call_reader)},
       .after_calls = {"</tool_call>"},
       .frames = {"<response>", "</response>"}},
      {.name = "jamba",
       .calls = {call("<tool_calls>", json_call_reader)},
       .after_calls = {"</tool_calls>"}},
      {.name = "nemotron_v2",
       .reasoning = {kThink},
       .calls = {call("<TOOLCALL>", json_call_reader)},
       .after_calls = {"</TOOLCALL>"}},
      {.name = "apriel",
       .reasoning = {{"Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"},
                     {"<thinking>", "</thinking>"}},
       .calls = {special_call("<tool_calls>", json_call_reader)},
       .after_calls = {"</tool_calls>"},
       .frames = {"[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"}},
  };
}

std::vector<MessageFormat> special_token_formats() {
  return {
      {.name = "kimi_k2",
       .reasoning = {kThink},
       .calls = {special_call("<|tool_call_begin|>", kimi_call_reader)},
       .before_calls = {"<|tool_calls_section_begin|>"},
       .after_calls = {"<|tool_call_end|>", "<|tool_calls_section_end|>"}},
      {.name = "deepseek_v3",
       .aliases = {"deepseek_r1", "deepseek_v31"},
       .reasoning = {kThink},
       .calls = {special_call("<｜tool▁call▁begin｜>", deepseek_call_reader)},
       // Distilled models misspell it.
       .before_calls = {"<｜tool▁calls▁begin｜>", "<｜tool_calls_begin｜>",
                        "<｜tool calls begin｜>", "<｜tool▁calls｜>"},
       .after_calls = {"```", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"}},
      {.name = "deepseek_v32",
       .aliases = {"deepseek_v4"},
       .reasoning = {kThink},
       .calls = {special_call("<｜DSML｜function_calls>", dsml_call_reader),
                 special_call("<｜DSML｜tool_calls>", dsml_v4_call_reader)}},
      {.name = "mistral",
       .reasoning = {{"[THINK]", "[/THINK]"}, kThink},
       .calls = {special_call("[TOOL_CALLS]", mistral_call_reader)},
       .id_digits = 9},
      {.name = "lfm2",
       .aliases = {"pythonic"},
       .reasoning = {kThink},
       .calls = {special_call("<|tool_call_start|>", pythonic_call_reader)},
       .after_calls = {"<|tool_call_end|>"}},
      {.name = "minicpm3",
       .reasoning = {{"<|thought_start|>", "<|thought_end|>"}},
       .calls = {call("<|tool_call_start|>\n```python",
                      python_block_call_reader)},
       .after_calls = {"<|tool_call_end|>"}},
      {.name = "command_r",
       .calls = {call("Action: ```json", json_call_reader),
                 call("Action:\n```json", json_call_reader)},
       .after_calls = {"```"}},
      {.name = "command_r7b",
       .aliases = {"cohere2"},
       .reasoning = {{"<|START_THINKING|>", "<|END_THINKING|>"}},
       .calls = {special_call("<|START_ACTION|>", json_call_reader)},
       .after_calls = {"<|END_ACTION|>"},
       .frames = {"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>",
                  "<|END_TEXT|>"}},
      {.name = "phi4_mini",
       .aliases = {"phi4_mini_json"},
       .calls = {call("<|tool_call|>", json_call_reader),
                 call("functools", json_call_reader)},
       .after_calls = {"<|/tool_call|>"}},
      {.name = "firefunction_v1",
       .calls = {call("<functioncall>", json_call_reader)},
       .frames = {"<plain>"}},
      {.name = "firefunction", .calls = {call("functools", json_call_reader)}},
      {.name = "apertus",
       .reasoning = {{"<|inner_prefix|>", "<|inner_suffix|>"}},
       .calls = {special_call("<|tools_prefix|>", keyed_call_reader)},
       .after_calls = {"<|tools_suffix|>"}},
      {.name = "gigachat",
       .aliases = {"gigachat3"},
       .calls = {call("<|function_call|>", json_call_reader),
                 call("function call<|role_sep|>", json_call_reader)},
       .before_calls = {"<|message_sep|>"},
       .after_calls = {"<|message_sep|>"}},
      {.name = "gpt_oss",
       .aliases = {"openai", "harmony"},
       .reasoning = {{"", "<|end|>"}},
       .calls = {{.open = "<|start|>",
                  .reader = harmony_call_reader,
                  .ends_reasoning = true,
                  .prompt_end = "<|start|>assistant"},
                 special_call("<|channel|>", harmony_call_reader)},
       .frames = {"<|end|>", "<|return|>", "<|call|>"}},
  };
}

std::vector<MessageFormat> bare_formats() {
  return {
      {.name = "llama3",
       .aliases = {"llama3_json", "llama"},
       .calls = {bare_call("{", bare_json_call_reader),
                 bare_call("[", bare_pythonic_call_reader),
                 call("<|python_tag|>", python_tag_call_reader)},
       .after_calls = {";"}},
      {.name = "llama4_pythonic",
       .calls = {bare_call("[", bare_pythonic_call_reader)},
       .frames = {"<|python_start|>", "<|python_end|>"}},
      {.name = "functionary_v2",
       .calls = {{.open = "<|recipient|>",
                  .reader = recipient_tag_call_reader,
                  .prompt_end = "<|recipient|>"}},
       .before_calls = {"<|from|>assistant"}},
      {.name = "functionary_v31",
       .calls = {call("<function=", tagged_json_call_reader),
                 call("<|python_tag|>", python_tag_call_reader)},
       .after_calls = {"</function>"}},
      {.name = "functionary_v32",
       .calls = {{.open = ">>>",
                  .reader = recipient_call_reader,
                  .prompt_end = ">>>"}}},
      {.name = "gemma3",
       .calls = {call("```tool_code", code_block_call_reader),
                 call("```tool_call", code_block_call_reader),
                 call("```json", code_block_call_reader)}},
      {.name = "gemma4",
       .reasoning = {{"<|channel>thought", "<channel|>"}},
       .calls = {special_call("<|tool_call>call:", gemma4_call_reader)},
       .after_calls = {"<tool_call|>"}},
      {.name = "function_gemma",
       .aliases = {"functiongemma"},
       .calls = {call("<start_function_call>call:",
                      function_gemma_call_reader)},
       .after_calls = {"<end_function_call>"}},
  };
}

}  // namespace

const std::vector<MessageFormat>& message_formats() {
  static const std::vector<MessageFormat> kFormats = [] {
    auto all = tagged_formats();
    for (auto& each : special_token_formats()) all.push_back(std::move(each));
    for (auto& each : bare_formats()) all.push_back(std::move(each));
    return all;
  }();
  return kFormats;
}

const MessageFormat* find_message_format(std::string_view name) {
  for (const auto& format : message_formats()) {
    if (format.name == name) return &format;
    if (std::ranges::find(format.aliases, name) != format.aliases.end())
      return &format;
  }
  return nullptr;
}

const MessageFormat& message_format(std::string_view name) {
  if (const auto* format = find_message_format(name)) return *format;
  std::string names;
  for (const auto& format : message_formats())
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  throw InvalidInput("message format",
                     "got " + quote(name) + ", expected one of " + names);
}

std::string_view open_marker(const MessageFormat& format,
                             std::string_view prompt) {
  prompt = trim_space(prompt);
  for (const auto& marks : format.reasoning)
    if (!marks.open.empty() && prompt.ends_with(marks.open)) return marks.open;
  for (const auto& marks : format.calls)
    if (!marks.prompt_end.empty() && prompt.ends_with(marks.prompt_end))
      return marks.open;
  return {};
}

}  // namespace skua
