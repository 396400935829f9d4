#include "text/tool_forms.h"

#include "text/value_spelling.h"

namespace skua {
namespace {

constexpr std::string_view kNumber = "0|[1-9][0-9]{0,2}";

// {"name": NAME, "arguments": {...}} within what is around it.
CallForm json_list(std::string_view format, std::string_view begin,
                   std::string_view end) {
  return {.format = format,
          .begin = begin,
          .separator = ", ",
          .end = end,
          .open = "{\"name\": \"",
          .name_close = "\", \"arguments\": ",
          .close = "}"};
}

CallForm json_object(std::string_view format, std::string_view begin,
                     std::string_view end = {}) {
  CallForm form = json_list(format, begin, end);
  form.single = true;
  return form;
}

// Mistral's first calls, with ids.
CallForm with_ids(CallForm form) {
  form.id = {.place = CallId::Place::kBehindArguments,
             .open = ", \"id\": \"",
             .close = "\""};
  return form;
}

CallForm with_text_end(CallForm form, std::string_view end) {
  form.text_end = end;
  return form;
}

CallForm functions(std::string_view format, std::string_view open,
                   std::string_view close) {
  return {.format = format,
          .separator = "\n",
          .open = open,
          .name_close = ">\n",
          .close = close,
          .key_open = "<parameter=",
          .key_close = ">\n",
          .value_close = "\n</parameter>\n"};
}

CallForm without_lines(CallForm form) {
  form.key_close = ">";
  form.value_close = "</parameter>\n";
  return form;
}

CallForm glm(std::string_view name_close, std::string_view line_end,
             std::string_view key_close) {
  return {.format = "glm",
          .separator = line_end,
          .open = "<tool_call>",
          .name_close = name_close,
          .close = "</tool_call>",
          .key_open = "<arg_key>",
          .key_close = key_close,
          .value_close = line_end.empty() ? "</arg_value>" : "</arg_value>\n"};
}

CallForm dsml(std::string_view begin, std::string_view end) {
  return {.format = "deepseek_v32",
          .begin = begin,
          .end = end,
          .open = "<｜DSML｜invoke name=\"",
          .name_close = "\">\n",
          .close = "</｜DSML｜invoke>\n",
          .key_open = "<｜DSML｜parameter name=\"",
          .key_close = "\" string=\"false\">",
          .value_close = "</｜DSML｜parameter>\n",
          .string_key_close = "\" string=\"true\">"};
}

std::vector<CallForm> json_forms() {
  return {
      {.format = "hermes",
       .separator = "\n",
       .open = "<tool_call>\n{\"name\": \"",
       .name_close = "\", \"arguments\": ",
       .close = "}\n</tool_call>"},
      {.format = "llama3",
       .open = "{\"name\": \"",
       .name_close = "\", \"parameters\": ",
       .close = "}",
       .single = true},
      json_list("mistral", "[TOOL_CALLS][", "]"),
      with_ids(json_list("mistral", "[TOOL_CALLS][", "]")),
      {.format = "mistral", .open = "[TOOL_CALLS]", .name_close = "[ARGS]"},
      {.format = "mistral",
       .open = "[TOOL_CALLS]",
       .name_close = "[ARGS]",
       .id = {.place = CallId::Place::kBehindName, .open = "[CALL_ID]"}},
      json_list("granite", "<|tool_call|>[", "]"),
      json_list("granite", "<tool_call>[", "]"),
      json_list("phi4_mini", "<|tool_call|>[", "]<|/tool_call|>"),
      json_list("jamba", "<tool_calls>[\n", "\n]</tool_calls>"),
      json_list("nemotron_v2", "<TOOLCALL>[", "]</TOOLCALL>"),
      json_list("apriel", "<tool_calls>[", "]</tool_calls>"),
      json_list("firefunction", "functools[", "]"),
      json_object("firefunction_v1", "<functioncall> "),
      json_object("gigachat", "<|function_call|>"),
      json_object("gigachat", "function call<|role_sep|>\n"),
      json_list("lfm2", "<|tool_call_start|>[", "]<|tool_call_end|>"),
      {.format = "command_r",
       .begin = "Action:\n```json\n[\n    ",
       .separator = ",\n    ",
       .end = "\n]```",
       .open = "{\n        \"tool_name\": \"",
       .name_close = "\",\n        \"parameters\": ",
       .close = "\n    }"},
      {.format = "command_r7b",
       .begin = "<|START_ACTION|>[\n    ",
       .separator = ",\n    ",
       .end = "\n]<|END_ACTION|>",
       .open = "\"tool_name\": \"",
       .name_close = "\", \"parameters\": ",
       .close = "}",
       .id = {.place = CallId::Place::kFirst,
              .open = "{\"tool_call_id\": \"",
              .close = "\", ",
              .pattern = kNumber}},
      with_text_end(json_object("longcat", "<longcat_tool_call>\n",
                                "\n</longcat_tool_call>"),
                    "</longcat_tool_call>"),
      {.format = "apertus",
       .begin = "<|tools_prefix|>[",
       .separator = ", ",
       .end = "]<|tools_suffix|>",
       .open = "{\"",
       .name_close = "\": ",
       .close = "}"},
  };
}

std::vector<CallForm> named_forms() {
  return {
      {.format = "kimi_k2",
       .begin = "<|tool_calls_section_begin|>",
       .end = "<|tool_calls_section_end|>",
       .open = "<|tool_call_begin|>functions.",
       .name_close = "<|tool_call_argument_begin|>",
       .close = "<|tool_call_end|>",
       .id = {.place = CallId::Place::kBehindName,
              .open = ":",
              .pattern = kNumber}},
      {.format = "deepseek_v3",
       .begin = "<｜tool▁calls▁begin｜>",
       .end = "<｜tool▁calls▁end｜>",
       .open = "<｜tool▁call▁begin｜>",
       .name_close = "<｜tool▁sep｜>",
       .close = "<｜tool▁call▁end｜>"},
      {.format = "deepseek_v3",
       .begin = "<｜tool▁calls▁begin｜>",
       .separator = "\n",
       .end = "<｜tool▁calls▁end｜>",
       .open = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
       .name_close = "\n```json\n",
       .close = "\n```<｜tool▁call▁end｜>"},
      {.format = "gpt_oss",
       .open = "<|channel|>commentary to=functions.",
       .name_close = " <|constrain|>json<|message|>",
       .single = true,
       .reasoning = {"<|channel|>analysis<|message|>",
                     "<|end|><|start|>assistant"},
       .content_open = "<|channel|>final<|message|>"},
      {.format = "mirothinker",
       .begin = "<use_mcp_tool>",
       .end = "\n</use_mcp_tool>",
       .name_close = "</tool_name>\n<arguments>\n",
       .close = "\n</arguments>",
       .text_end = "</arguments>",
       .id = {.place = CallId::Place::kFirst,
              .open = "\n<server_name>",
              .close = "</server_name>\n<tool_name>",
              .pattern = "[0-9a-zA-Z_-]{1,64}"}},
      {.format = "functionary_v2",
       .separator = "\n<|from|>assistant\n",
       .open = "<|recipient|>",
       .name_close = "\n<|content|>",
       .content_open = "<|recipient|>all\n<|content|>"},
      {.format = "functionary_v31",
       .open = "<function=",
       .name_close = ">",
       .close = "</function>"},
      {.format = "functionary_v32",
       .open = ">>>",
       .name_close = "\n",
       .content_open = ">>>all\n"},
  };
}

std::vector<CallForm> tagged_forms() {
  return {
      functions("qwen3_coder",
                "<tool_call>\n<function=", "</function>\n</tool_call>"),
      without_lines(functions("seed_oss", "<seed:tool_call>\n<function=",
                              "</function>\n</seed:tool_call>")),
      glm("\n", "\n", "</arg_key>\n<arg_value>"),
      glm("", "", "</arg_key><arg_value>"),
      {.format = "minimax_m2",
       .begin = "<minimax:tool_call>\n",
       .end = "</minimax:tool_call>",
       .open = "<invoke name=\"",
       .name_close = "\">\n",
       .close = "</invoke>\n",
       .key_open = "<parameter name=\"",
       .key_close = "\">",
       .value_close = "</parameter>\n"},
      dsml("<｜DSML｜function_calls>\n", "</｜DSML｜function_calls>"),
      dsml("<｜DSML｜tool_calls>\n", "</｜DSML｜tool_calls>"),
  };
}

std::vector<CallForm> literal_forms() {
  using Syntax = LiteralSyntax;
  return {
      {.format = "llama4_pythonic",
       .begin = "[",
       .separator = ", ",
       .end = "]",
       .syntax = Syntax::kPython},
      {.format = "gemma3",
       .begin = "```tool_code\n",
       .separator = "\n",
       .end = "\n```",
       .syntax = Syntax::kPython},
      {.format = "minicpm3",
       .begin = "<|tool_call_start|>\n```python\n",
       .separator = "\n",
       .end = "\n```\n<|tool_call_end|>",
       .syntax = Syntax::kPython},
      {.format = "gemma4",
       .open = "<|tool_call>call:",
       .close = "<tool_call|>",
       .syntax = Syntax::kGemma4},
      {.format = "function_gemma",
       .open = "<start_function_call>call:",
       .close = "<end_function_call>",
       .syntax = Syntax::kGemma},
  };
}

}  // namespace

std::vector<CallForm> call_forms(const MessageFormat& format) {
  std::vector<CallForm> forms;
  for (const auto& group :
       {json_forms(), named_forms(), tagged_forms(), literal_forms()})
    for (const auto& form : group)
      if (form.format == format.name) forms.push_back(form);
  return forms;
}

std::vector<std::string> call_marks(const MessageFormat& format) {
  std::vector<std::string> marks;
  const auto add = [&](std::string_view mark) {
    if (!mark.empty()) marks.emplace_back(mark);
  };
  for (const auto& form : call_forms(format)) {
    for (const auto mark :
         {form.begin, form.separator, form.end, form.open, form.name_close,
          form.close, form.key_open, form.key_close, form.value_close,
          form.string_key_close, form.reasoning.open, form.reasoning.close,
          form.content_open, value_spelling(form.syntax).quote})
      add(mark);
  }
  for (const auto frame : format.frames) add(frame);
  for (const auto& each : format.reasoning) {
    add(each.open);
    add(each.close);
  }
  return marks;
}

}  // namespace skua
