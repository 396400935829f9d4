// Plain text and calls as JSON, as models write them and as they go wrong.
#include "tests/unit/text/message_cases.h"

namespace skua {
namespace {

using test::check_cases;

TEST(MessageCases, Plain) {
  check_cases("plain",
              {
                  {"Hello", "R[] C[Hello]"},
                  {"", "R[] C[]"},
                  {" \n", "R[] C[ \n]"},
                  {"  padded  ", "R[] C[  padded  ]"},
                  {"<think>\na\nb\n</think>\n\nHi", "R[a\nb] C[Hi]"},
                  {"a\n</think>\n\nHi \n", "R[a] C[Hi \n]", "<think>"},
                  {"The <think> tag </think> stays",
                   "R[] C[The <think> tag </think> stays]"},
                  {"<think>never closed", "R[never closed] C[]"},
                  {"<think></think>", "R[] C[]"},
                  {"<think>a</think><think>b</think>c", "R[a\nb] C[c]"},
                  {"<thin", "R[] C[<thin]"},
                  {"naïve — 日本語 🙂", "R[] C[naïve — 日本語 🙂]"},
                  {"<tool_call>{\"name\": \"f\"}</tool_call>",
                   "R[] C[<tool_call>{\"name\": \"f\"}</tool_call>]"},
              });
}

TEST(MessageCases, Hermes) {
  check_cases(
      "hermes",
      {
          {"<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
           "\"Paris\"}}\n</tool_call>",
           "R[] C[] call_0=get_weather{\"city\":\"Paris\"}"},
          {"<think>\nhm\n</think>\n\nLet me "
           "see.\n<tool_call>\n{\"name\":\"now\","
           "\"arguments\":{}}\n</tool_call>\n<tool_call>\n{\"name\":\"search\","
           "\"arguments\":{\"q\":\"x\"}}\n</tool_call>",
           "R[hm] C[Let me see.] call_0=now{} call_1=search{\"q\":\"x\"}"},
          // The end marker in an argument, and every escape of JSON.
          {"<tool_call>{\"name\":\"search\",\"arguments\":{\"q\":"
           "\"</tool_call>}{\\\"\\\\ \\u00e9\\ud83d\\ude42\\n\"}}</tool_call> "
           "done",
           "R[] C[done] call_0=search{\"q\":\"</tool_call>}{\\\"\\\\ "
           "é🙂\\n\"}"},
          // Half a surrogate pair, a raw line break.
          {"<tool_call>{\"name\":\"search\",\"arguments\":{\"q\":"
           "\"\\ud800\nb\"}}",
           "R[] C[] call_0=search{\"q\":\"\uFFFD\\nb\"}"},
          // Digits stay; arguments in a string, none, null.
          {"<tool_call>{\"name\":\"f\",\"arguments\":{\"n\":"
           "12345678901234567890123,\"x\":0.10000000000000000001}}</tool_call>",
           "R[] C[] call_0=f{\"n\":12345678901234567890123,"
           "\"x\":0.10000000000000000001}"},
          {"<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": "
           "1}\"}</tool_call>",
           "R[] C[] call_0=f{\"a\":1}"},
          {"<tool_call>{\"name\":\"f\"}</tool_call>", "R[] C[] call_0=f{}"},
          {"<tool_call>{\"name\":\"f\",\"arguments\":\" \"}</tool_call>",
           "R[] C[] call_0=f{}"},
          {"<tool_call>{\"name\":\"f\",\"parameters\":null}</tool_call>",
           "R[] C[] call_0=f{}"},
          {"<tool_call>{\"name\":\"f\",\"arguments\":[1]}</tool_call>",
           "R[] C[] call_0=f[1]"},
          {"<tool_call>{\"name\":\"f\",\"arguments\":{},\"id\":\"x\"}</"
           "tool_call>"
           "<tool_call>{\"name\":\"g\",\"id\":\"x\"}</tool_call>",
           "R[] C[] x=f{} call_0=g{}"},
          {"<tool_call>{\"id\":\"call_0\",\"function\":{\"name\":\"f\","
           "\"arguments\":{\"a\":[]}}}</tool_call><tool_call>{\"name\":\"g\"}",
           "R[] C[] call_0=f{\"a\":[]} call_1=g{}"},
          {"<tool_call>[{\"name\":\"f\"},{\"name\":\"g\"}]</tool_call>",
           "R[] C[] call_0=f{} call_1=g{}"},
          // White space beside a call is dropped, between words it stays.
          {"One.\n<tool_call>{\"name\":\"f\"}</tool_call>\nTwo.",
           "R[] C[One.\nTwo.] call_0=f{}"},
          {"\n\n<tool_call>{\"name\":\"f\"}</tool_call>\n\n",
           "R[] C[] call_0=f{}"},
          // What is no call is content, byte for byte.
          {"Use <tool_call> tags.", "R[] C[Use <tool_call> tags.]"},
          {"a \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}",
           "R[] C[a \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": "
           "1}]"},
          {"<tool_call>{\"name\": 5}</tool_call>",
           "R[] C[<tool_call>{\"name\": 5}</tool_call>]"},
          {"<tool_call>{\"name\": \"\"}</tool_call>",
           "R[] C[<tool_call>{\"name\": \"\"}</tool_call>]"},
          {"<tool_call>{'name': 'f'}</tool_call>",
           "R[] C[<tool_call>{'name': 'f'}</tool_call>]"},
          {"<tool_call>{\"name\": \"f\"]</tool_call>",
           "R[] C[<tool_call>{\"name\": \"f\"]</tool_call>]"},
          {"<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1e999}}</"
           "tool_call>",
           "R[] C[<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1e999}}"
           "</tool_call>]"},
          {"<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":01}}</tool_call>",
           "R[] "
           "C[<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":01}}</"
           "tool_call>]"},
          {"<tool_call>{broken}</tool_call> "
           "<tool_call>{\"name\":\"f\"}</tool_call>",
           "R[] C[<tool_call>{broken}</tool_call>] call_0=f{}"},
          {"<tool_call><tool_call>{\"name\":\"f\"}</tool_call>",
           "R[] C[<tool_call>] call_0=f{}"},
          {"</tool_call> alone", "R[] C[</tool_call> alone]"},
          {"<tool_call>", "R[] C[<tool_call>]"},
          // A call that the beginning of one hides.
          {"<tool_call>{\"name\": \"f<tool_call>{\"name\":\"g\"}",
           "R[] C[<tool_call>{\"name\": \"f] call_0=g{}"},
          {"A<tool_call>{\"name\":\"f\"}</tool_call><think></think>B",
           "R[] C[AB] call_0=f{}"},
          {"<think>a <tool_call>{\"name\":\"f\"}</tool_call></think>b",
           "R[a <tool_call>{\"name\":\"f\"}</tool_call>] C[b]"},
      });
}

TEST(MessageCases, Granite) {
  check_cases("granite",
              {
                  {"<think>a</think><response>b</response>", "R[a] C[b]"},
                  {"<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}, "
                   "{\"name\": \"f\"}]",
                   "R[] C[] call_0=now{} call_1=f{}"},
                  {"<tool_call>[{\"name\": \"now\"}]</tool_call>",
                   "R[] C[] call_0=now{}"},
                  {"<|tool_call|>[]", "R[] C[<|tool_call|>[]]"},
              });
}

TEST(MessageCases, Apriel) {
  check_cases(
      "apriel",
      {
          {"hm\n[BEGIN FINAL RESPONSE]\nHi\n[END FINAL RESPONSE]",
           "R[hm] C[Hi]", "Here are my reasoning steps:"},
          {"Here are my reasoning steps:\nhm\n<tool_calls>[{\"name\": \"now\", "
           "\"arguments\": {}, \"id\": \"c1\"}]</tool_calls>",
           "R[hm] C[] c1=now{}"},
          {"<thinking>a</thinking>\n<tool_calls>[{\"name\": "
           "\"now\"}]</tool_calls>",
           "R[a] C[] call_0=now{}"},
      });
}

TEST(MessageCases, JsonLists) {
  check_cases("firefunction",
              {
                  {"OK functools[{\"name\": \"now\", \"arguments\": {}}]",
                   "R[] C[OK] call_0=now{}"},
                  {"import functools", "R[] C[import functools]"},
              });
  check_cases("phi4_mini",
              {
                  {"<|tool_call|>[{\"name\": \"now\", \"arguments\": "
                   "{}}]<|/tool_call|>",
                   "R[] C[] call_0=now{}"},
                  {"functools[{\"name\": \"now\"}]", "R[] C[] call_0=now{}"},
              });
  check_cases(
      "apertus",
      {
          {"<|inner_prefix|>a<|inner_suffix|>b<|tools_prefix|>[{\"now\": {}}, "
           "{\"search\": {\"q\": \"x\"}}]<|tools_suffix|>",
           "R[a] C[b] call_0=now{} call_1=search{\"q\":\"x\"}"},
          {"<|tools_prefix|>[{}]", "R[] C[<|tools_prefix|>[{}]]"},
      });
  check_cases("gigachat",
              {
                  {"OK<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": "
                   "\"now\", "
                   "\"arguments\": {}}<|message_sep|>\n\n",
                   "R[] C[OK] call_0=now{}"},
                  {"OK<|function_call|>{\"name\": \"now\", \"arguments\": {}}",
                   "R[] C[OK] call_0=now{}"},
              });
}

TEST(MessageCases, OlderFormats) {
  check_cases("jamba",
              {{"OK\n<tool_calls>[\n{\"name\": \"now\", \"arguments\": {}},"
                "{\"name\": \"f\"}\n]</tool_calls>",
                "R[] C[OK] call_0=now{} call_1=f{}"}});
  check_cases("nemotron_v2", {{"<think>a</think><TOOLCALL>[{\"name\": \"now\", "
                               "\"arguments\": {}}]</TOOLCALL>",
                               "R[a] C[] call_0=now{}"}});
  check_cases("firefunction_v1",
              {{"<functioncall>{\"name\": \"now\", \"arguments\": {}}",
                "R[] C[] call_0=now{}"},
               {"<plain>Hello", "R[] C[Hello]"}});
  check_cases(
      "functionary_v2",
      {{"all\n<|content|>Hello", "R[] C[Hello]", "<|recipient|>"},
       {"all\n<|content|>OK\n<|from|>assistant\n<|recipient|>f\n<|content|>"
        "{\"a\": 1}\n<|from|>assistant\n<|recipient|>now\n<|content|>{}",
        "R[] C[OK] call_0=f{\"a\":1} call_1=now{}", "<|recipient|>"},
       {"no recipient", "R[] C[no recipient]", "<|recipient|>"}});
  check_cases("minicpm3",
              {{"<|thought_start|>\na\n<|thought_end|>\n<|tool_call_start|>\n"
                "```python\nf(a=\"1\",b=true)\nnow()\n```\n<|tool_call_end|>\n",
                "R[a] C[] call_0=f{\"a\":\"1\",\"b\":true} call_1=now{}"}});
}

TEST(MessageCases, Cohere) {
  check_cases(
      "command_r7b",
      {
          {"a<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", "
           "\"tool_name\": \"now\", \"parameters\": {}},\n    "
           "{\"tool_call_id\": "
           "\"1\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}\n]"
           "<|END_ACTION|>",
           "R[a] C[] 0=now{} 1=f{\"a\":1}", "<|START_THINKING|>"},
          {"<|START_RESPONSE|>Hi<|END_RESPONSE|>", "R[] C[Hi]"},
          {"<|START_THINKING|>a<|END_THINKING|><|START_TEXT|>b<|END_TEXT|>",
           "R[a] C[b]"},
      });
  check_cases("command_r",
              {
                  {"Action: ```json\n[\n    {\n        \"tool_name\": "
                   "\"now\",\n        "
                   "\"parameters\": {}\n    }\n]```",
                   "R[] C[] call_0=now{}"},
                  {"Action:\n```json\n[{\"tool_name\": \"now\"}]\n```",
                   "R[] C[] call_0=now{}"},
                  {"Action: none", "R[] C[Action: none]"},
              });
}

}  // namespace
}  // namespace skua
