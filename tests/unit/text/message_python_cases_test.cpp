// Calls in the spelling of Python, and of Gemma, as models write them and as
// they go wrong.
#include "tests/unit/text/message_cases.h"

namespace skua {
namespace {

using test::check_cases;

TEST(MessageCases, Pythonic) {
  check_cases(
      "lfm2",
      {
          {"<|tool_call_start|>[get_weather(city=\"A, (b]\", days=3), now()]"
           "<|tool_call_end|>Done.",
           "R[] C[Done.] call_0=get_weather{\"city\":\"A, (b]\",\"days\":3} "
           "call_1=now{}"},
          {"<|tool_call_start|>[f(a='it\\'s', b=[1, (2,)], c={'x': None}, "
           "d=True, e=-1.5, f='\\x41\\u00e9\\n\\q',)]<|tool_call_end|>",
           "R[] C[] call_0=f{\"a\":\"it's\",\"b\":[1,[2]],\"c\":{\"x\":null},"
           "\"d\":true,\"e\":-1.5,\"f\":\"Aé\\n\\\\q\"}"},
          {"<|tool_call_start|>[{\"name\": \"now\"}]<|tool_call_end|>",
           "R[] C[] call_0=now{}"},
          {"<|tool_call_start|>[]<|tool_call_end|>",
           "R[] C[<|tool_call_start|>[]<|tool_call_end|>]"},
          {"<|tool_call_start|>[f(1)]<|tool_call_end|>",
           "R[] C[<|tool_call_start|>[f(1)]<|tool_call_end|>]"},
      });
  check_cases(
      "llama4_pythonic",
      {
          {"[get_weather(city=\"A\"), now()]",
           "R[] C[] call_0=get_weather{\"city\":\"A\"} call_1=now{}"},
          {"<|python_start|>[now()]<|python_end|>", "R[] C[] call_0=now{}"},
          {"[unknown(a=1)]", "R[] C[[unknown(a=1)]]"},
          {"[1, 2]", "R[] C[[1, 2]]"},
          {"A list: [now()]", "R[] C[A list: [now()]]"},
      });
}

TEST(MessageCases, Llama3) {
  check_cases(
      "llama3",
      {
          {"{\"name\": \"get_weather\", \"parameters\": {\"city\": \"A\"}}",
           "R[] C[] call_0=get_weather{\"city\":\"A\"}"},
          {"<|python_tag|>{\"type\": \"function\", \"name\": \"now\", "
           "\"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}",
           "R[] C[] call_0=now{} call_1=now{}"},
          {"[{\"name\": \"now\"}, {\"name\": \"search\"}]",
           "R[] C[] call_0=now{} call_1=search{}"},
          {"[now(), search(q='x')]",
           "R[] C[] call_0=now{} call_1=search{\"q\":"
           "\"x\"}"},
          {"<|python_tag|>brave_search.call(query=\"a (b\")",
           "R[] C[] call_0=brave_search{\"query\":\"a (b\"}"},
          {"<|python_tag|>print([1])\nx = {}",
           "R[] C[] call_0=python{\"code\":"
           "\"print([1])\\nx = {}\"}"},
          {"{\"name\": \"nobody\", \"parameters\": {}}",
           "R[] C[{\"name\": \"nobody\", \"parameters\": {}}]"},
          {"{\"answer\": 42}", "R[] C[{\"answer\": 42}]"},
          {"JSON: {\"name\": \"now\"}", "R[] C[JSON: {\"name\": \"now\"}]"},
          {"[1] a note", "R[] C[[1] a note]"},
          {"{", "R[] C[{]"},
      });
}

TEST(MessageCases, Gemma) {
  check_cases(
      "gemma4",
      {
          {"<|tool_call>call:a b{}<tool_call|>",
           "R[] C[<|tool_call>call:a b{}<tool_call|>]"},
          {"<|channel>thought\nhm\n<channel|><|tool_call>call:get_weather{city:"
           "<|\"|>A, {b}\"\n<|\"|>,days:3}<tool_call|><|tool_call>call:now{}"
           "<tool_call|>",
           "R[hm] C[] call_0=get_weather{\"city\":\"A, "
           "{b}\\\"\\n\",\"days\":3} "
           "call_1=now{}"},
          {"<|tool_call>call:f{a:{b:[1,true,None]},c:word,d:<|\"|><|\"|>}"
           "<tool_call|>",
           "R[] C[] call_0=f{\"a\":{\"b\":[1,true,null]},\"c\":\"word\","
           "\"d\":\"\"}"},
          {"<|tool_call>call:f{{\"code\": \"x\"}}<tool_call|>",
           "R[] C[] call_0=f{\"code\":\"x\"}"},
          {"<|tool_call>call:f{a:<|\"|>x",
           "R[] C[<|tool_call>call:f{a:<|\"|>x]"},
          {"<|channel>thought\n<channel|>Hi", "R[] C[Hi]"},
      });
  check_cases("function_gemma",
              {
                  {"<start_function_call>call:get_weather{city:<escape>A, "
                   "b<escape>,days:2}"
                   "<end_function_call>",
                   "R[] C[] call_0=get_weather{\"city\":\"A, b\",\"days\":2}"},
              });
  check_cases(
      "gemma3",
      {
          {"```tool_code\nget_weather(city=\"A\")\n```",
           "R[] C[] call_0=get_weather{\"city\":\"A\"}"},
          {"```tool_code\nprint(now())\nprint(search(q='`'))\n```",
           "R[] C[] call_0=now{} call_1=search{\"q\":\"`\"}"},
          {"OK\n```json\n{\"name\": \"now\", \"parameters\": {}}\n```",
           "R[] C[OK] call_0=now{}"},
          {"```tool_code\nsearch(q='```')\n```",
           "R[] C[] call_0=search{\"q\":\"```\"}"},
          {"```tool_code\nnobody()\n```", "R[] C[```tool_code\nnobody()\n```]"},
          {"```json\n{\"name\": \"now\"}\nx\n```",
           "R[] C[```json\n{\"name\": \"now\"}\nx\n```]"},
          {"```json\n{\"a\": 1}\n```", "R[] C[```json\n{\"a\": 1}\n```]"},
          {"```python\nnow()\n```", "R[] C[```python\nnow()\n```]"},
      });
}

}  // namespace
}  // namespace skua
