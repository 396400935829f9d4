// Calls that are a name and JSON, as models write them and as they go wrong.
#include "tests/unit/text/message_cases.h"

namespace skua {
namespace {

using test::check_cases;

TEST(MessageCases, Kimi) {
  check_cases(
      "kimi_k2",
      {
          {"a<|tool_calls_section_begin|></think>b",
           "R[a<|tool_calls_section_begin|>] C[b]", "<think>"},
          {"<think>a</think>b<|tool_calls_section_begin|><|tool_call_begin|>"
           "functions.get_weather:0<|tool_call_argument_begin|>{\"city\": "
           "\"A\"}"
           "<|tool_call_end|><|tool_call_begin|>functions.a.b:1"
           "<|tool_call_argument_begin|>{}<|tool_call_end|>"
           "<|tool_calls_section_end|>",
           "R[a] C[b] functions.get_weather:0=get_weather{\"city\":\"A\"} "
           "functions.a.b:1=a.b{}"},
          // Reasoning that a call ends.
          {"a <|tool_calls_section_begin|><|tool_call_begin|>functions.now:0"
           "<|tool_call_argument_begin|>{}<|tool_call_end|>"
           "<|tool_calls_section_end|>",
           "R[a] C[] functions.now:0=now{}", "<think>"},
          {"<|tool_calls_section_begin|>what",
           "R[] C[<|tool_calls_section_begin|>"
           "what]"},
          {"<|tool_call_begin|>functions.a:b<|tool_call_argument_begin|>{}",
           "R[] C[] functions.a:b=a:b{}"},
          {"<|tool_call_begin|>f:0<|tool_call_argument_begin|>no<|tool_call_"
           "end|>",
           "R[] C[<|tool_call_begin|>f:0<|tool_call_argument_begin|>no"
           "<|tool_call_end|>]"},
      });
}

TEST(MessageCases, DeepSeek) {
  check_cases(
      "deepseek_v3",
      {
          {"OK<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
           "get_weather\n```json\n{\"city\": \"```\"}\n```<｜tool▁call▁end｜>\n"
           "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```"
           "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
           "R[] C[OK] call_0=get_weather{\"city\":\"```\"} call_1=now{}"},
          {"hm</"
           "think>OK<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<"
           "｜tool▁sep｜>{}"
           "<｜tool▁call▁end｜><｜tool▁call▁begin｜>search<｜tool▁sep｜>{\"q\":"
           "\"é\"}"
           "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
           "R[hm] C[OK] call_0=now{} call_1=search{\"q\":\"é\"}", "<think>"},
          {"<｜tool▁call▁begin｜>now{}", "R[] C[<｜tool▁call▁begin｜>now{}]"},
          {"<｜tool▁call▁begin｜>a b<｜tool▁sep｜>{}",
           "R[] C[<｜tool▁call▁begin｜>a b<｜tool▁sep｜>{}]"},
      });
  check_cases(
      "deepseek_v32",
      {
          {"hm</think>OK\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke "
           "name=\"f\">\n"
           "<｜DSML｜parameter name=\"a\" "
           "string=\"true\">5</｜DSML｜parameter>\n"
           "<｜DSML｜parameter name=\"b\" "
           "string=\"false\">[5]</｜DSML｜parameter>\n"
           "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
           "R[hm] C[OK] call_0=f{\"a\":\"5\",\"b\":[5]}", "<think>"},
          {"<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
           "<｜DSML｜parameter name=\"days\">5</｜DSML｜parameter>\n"
           "<｜DSML｜parameter name=\"city\">5</｜DSML｜parameter>\n"
           "</｜DSML｜invoke>\n<｜DSML｜invoke "
           "name=\"now\">\n</｜DSML｜invoke>\n"
           "</｜DSML｜tool_calls>",
           "R[] C[] call_0=get_weather{\"days\":5,\"city\":\"5\"} "
           "call_1=now{}"},
          {"<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"now\">\n",
           "R[] C[<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"now\">\n]"},
      });
}

TEST(MessageCases, Mistral) {
  check_cases(
      "mistral",
      {
          {"[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}, \"id\": "
           "\"abcdefghi\"}, {\"name\": \"search\", \"arguments\": {\"q\": "
           "\"]\"}}]",
           "R[] C[] abcdefghi=now{} 000000000=search{\"q\":\"]\"}"},
          {"OK[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]search[CALL_ID]call00002[ARGS]"
           "{\"q\": \"[ARGS]\"}",
           "R[] C[OK] 000000000=now{} call00002=search{\"q\":\"[ARGS]\"}"},
          {"[THINK]a[/THINK]b[TOOL_CALLS]now{}", "R[a] C[b] 000000000=now{}"},
          {"[TOOL_CALLS]now[ARGS]\"{\\\"a\\\": 1}\"",
           "R[] C[] 000000000=now{\"a\":1}"},
          {"[TOOL_CALLS] [{\"name\": \"f\"",
           "R[] C[[TOOL_CALLS] [{\"name\": \"f\"]"},
          {"[TOOL_CALLS] is a token", "R[] C[[TOOL_CALLS] is a token]"},
      });
}

TEST(MessageCases, Functionary) {
  check_cases(
      "functionary_v31",
      {
          {"OK<function=get_weather>{\"city\": "
           "\"A\"}</function><function=now>{}"
           "</function>",
           "R[] C[OK] call_0=get_weather{\"city\":\"A\"} call_1=now{}"},
          {"<|python_tag|>{\"code\": \"1\"}",
           "R[] C[] call_0=python{\"code\":"
           "\"1\"}"},
          {"<function=f>no</function>", "R[] C[<function=f>no</function>]"},
      });
  check_cases(
      "functionary_v32",
      {
          {"all\nHello", "R[] C[Hello]", ">>>"},
          {"all\nOK>>>get_weather\n{\"city\": \"A\"}>>>now\n{}",
           "R[] C[OK] call_0=get_weather{\"city\":\"A\"} call_1=now{}", ">>>"},
          {"now\n{}", "R[] C[] call_0=now{}", ">>>"},
          {"Just text\nof mine", "R[] C[Just text\nof mine]", ">>>"},
          {">>>nobody\n{}", "R[] C[>>>nobody\n{}]"},
          {">>>all\n>>> 1 + 1\n2", "R[] C[>>> 1 + 1\n2]"},
          {">>>python\nprint(1)\n>>> no\n",
           "R[] C[] call_0=python{\"code\":\"print(1)\\n>>> no\\n\"}"},
          {"all\nOK>>>python\n{1: 2}[1]>>>all\nDone",
           "R[] C[OK\nDone] call_0=python{\"code\":\"{1: 2}[1]\"}", ">>>"},
          {"python\nx = 1>>>now\n{}",
           "R[] C[] call_0=python{\"code\":\"x = 1\"} call_1=now{}", ">>>"},
          {">>>python\n{\"code\": \"1\"}",
           "R[] C[] call_0=python{\"code\":\"1\"}"},
          {">>>python\n \n", "R[] C[>>>python\n \n]"},
          {">>>python\nx>>>al", "R[] C[] call_0=python{\"code\":\"x>>>al\"}"},
      });
}

TEST(MessageCases, GptOss) {
  check_cases(
      "gpt_oss",
      {
          {"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|"
           ">"
           "final<|message|>Hi<|return|>",
           "R[hm] C[Hi]", "<|start|>"},
          {"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|"
           ">"
           "commentary to=functions.get_weather <|constrain|>json<|message|>"
           "{\"city\":\"A\"}<|call|>",
           "R[hm] C[] call_0=get_weather{\"city\":\"A\"}", "<|start|>"},
          {"<|channel|>commentary<|message|>I look.<|end|><|start|>assistant "
           "to=functions.now<|channel|>commentary json<|message|>{}",
           "R[] C[I look.] call_0=now{}", "<|start|>"},
          {" to=functions.now<|channel|>commentary json<|message|>{}<|call|>",
           "R[] C[] call_0=now{}", "<|start|>"},
          {"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>"
           "analysis<|message|>b<|end|><|start|>assistant<|channel|>final"
           "<|message|>c",
           "R[a\nb] C[c]", "<|start|>"},
          {"<|channel|>final to=user<|message|>Hi", "R[] C[Hi]", "<|start|>"},
          {"Plain text.", "R[] C[Plain text.]", "<|start|>"},
          {"<|channel|>commentary to=functions.f<|message|>no json<|call|>",
           "R[] C[<|channel|>commentary to=functions.f<|message|>no json]",
           "<|start|>"},
      });
}

}  // namespace
}  // namespace skua
