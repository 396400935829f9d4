// Answers as models of each family write them, and as they go wrong.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/unit/text/message_support.h"

namespace skua {
namespace {

struct Case {
  const char* text;
  const char* expected;  // as test::show
  const char* open = "";
};

const Json& tools() {
  static const Json kTools = Json::parse(R"([
    {"type": "function", "function": {"name": "get_weather", "parameters": {
      "type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"},
        "exact": {"type": "boolean"}, "unit": {"enum": ["c", "f"]}}}}},
    {"name": "search", "parameters": {"properties": {
      "q": {"type": "string"}, "filter": {"type": "object"},
      "ids": {"type": "array"}, "limit": {"type": ["integer", "null"]},
      "score": {"anyOf": [{"type": "number"}, {"type": "string"}]}}}},
    {"name": "now"}, {"name": "python"}])");
  return kTools;
}

void check(const char* name, const std::vector<Case>& cases) {
  std::size_t passed = 0;
  for (const auto& [text, expected, open] : cases) {
    const auto got = test::show(test::parse(
        message_format(name), text, {.tools = tools(), .open_marker = open}));
    EXPECT_EQ(got, expected) << name << ": " << text;
    passed += got == expected;
  }
  std::printf("%s: %zu/%zu hand-written answers\n", name, passed, cases.size());
}

TEST(MessageCases, Plain) {
  check("plain", {
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
  check(
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

TEST(MessageCases, QwenCoder) {
  check(
      "qwen3_coder",
      {
          {"Sure.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\n"
           "São \"P\"\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
           "</function>\n</tool_call>\n<tool_call>\n<function=now>\n</"
           "function>\n"
           "</tool_call>",
           "R[] C[Sure.] call_0=get_weather{\"city\":\"São "
           "\\\"P\\\"\",\"days\":3} "
           "call_1=now{}"},
          // Two functions in one call, no marker at all before one.
          {"<tool_call><function=now></function><function=now></function>"
           "</tool_call>",
           "R[] C[] call_0=now{} call_1=now{}"},
          {"<function=now>\n</function>", "R[] C[] call_0=now{}"},
          // Types of the schema.
          {"<function=get_weather><parameter=city>5</parameter><parameter=days>"
           "12345678901234567890123</parameter><parameter=exact>True</"
           "parameter>"
           "<parameter=unit>null</parameter></function>",
           "R[] C[] call_0=get_weather{\"city\":\"5\","
           "\"days\":12345678901234567890123,\"exact\":true,\"unit\":"
           "\"null\"}"},
          {"<function=search><parameter=filter>{\"a\": [1]}</parameter>"
           "<parameter=ids>[1, 2]</parameter><parameter=limit>null</parameter>"
           "<parameter=score>1.50</parameter><parameter=other>x y</parameter>"
           "</function>",
           "R[] C[] call_0=search{\"filter\":{\"a\":[1]},\"ids\":[1,2],"
           "\"limit\":null,\"score\":1.50,\"other\":\"x y\"}"},
          {"<function=search><parameter=limit>many</parameter><parameter=score>"
           "high</parameter><parameter=ids>{}</parameter></function>",
           "R[] C[] call_0=search{\"limit\":\"many\",\"score\":\"high\","
           "\"ids\":{}}"},
          // Unknown tools: what JSON reads, else a string.
          {"<function=f><parameter=a>5</parameter><parameter=b>five</parameter>"
           "<parameter=c>\n\nx\n\n</parameter><parameter=d></parameter></"
           "function>",
           "R[] C[] "
           "call_0=f{\"a\":5,\"b\":\"five\",\"c\":\"\\nx\\n\",\"d\":\"\"}"},
          // The end marker within an argument.
          {"<function=search><parameter=q>\na </function> b\n</parameter>"
           "</function>",
           "R[] C[] call_0=search{\"q\":\"a </function> b\"}"},
          {"a <tool_call> b", "R[] C[a <tool_call> b]"},
          {"<tool_call>\n<function=now>\n<parameter=a>\n1\n</parameter>",
           "R[] "
           "C[<tool_call>\n<function=now>\n<parameter=a>\n1\n</parameter>]"},
          {"<function=a b></function>", "R[] C[<function=a b></function>]"},
          {"<function=a>text</function>", "R[] C[<function=a>text</function>]"},
          {"<function=></function>", "R[] C[<function=></function>]"},
          {"<function=now></function></tool_call>\n<tool_call></tool_call>",
           "R[] C[<tool_call></tool_call>] call_0=now{}"},
          {"<tool_call>", "R[] C[<tool_call>]"},
      });
}

TEST(MessageCases, SeedOss) {
  check("seed_oss",
        {
            {"<seed:think>hm</"
             "seed:think>\nOK\n\n<seed:tool_call>\n<function=search>\n"
             "<parameter=q>x\ny</parameter>\n<parameter=filter>{'a': [1, True, "
             "None]}"
             "</parameter>\n</function>\n</seed:tool_call>",
             "R[hm] C[OK] call_0=search{\"q\":\"x\\ny\","
             "\"filter\":{\"a\":[1,true,null]}}"},
            {"<seed:tool_call>no", "R[] C[<seed:tool_call>no]"},
        });
}

TEST(MessageCases, Glm) {
  check(
      "glm",
      {
          {"<think>hm</think>OK<tool_call>get_weather<arg_key>city</arg_key>"
           "<arg_value>A</arg_value><arg_key>days</arg_key><arg_value>2</"
           "arg_value>"
           "</tool_call><tool_call>now</tool_call>",
           "R[hm] C[OK] call_0=get_weather{\"city\":\"A\",\"days\":2} "
           "call_1=now{}"},
          {"<tool_call>search\n<arg_key>q</arg_key>\n<arg_value>a</tool_call>b"
           "</arg_value>\n<arg_key>filter</arg_key>\n<arg_value>{\"a\": null}"
           "</arg_value>\n</tool_call>",
           "R[] C[] call_0=search{\"q\":\"a</tool_call>b\","
           "\"filter\":{\"a\":null}}"},
          {"<tool_call>two words</tool_call>",
           "R[] C[<tool_call>two words</tool_call>]"},
          {"<tool_call>f<arg_key>a</arg_key></tool_call>",
           "R[] C[<tool_call>f<arg_key>a</arg_key></tool_call>]"},
          {"<tool_call></tool_call>", "R[] C[<tool_call></tool_call>]"},
      });
}

TEST(MessageCases, Longcat) {
  check("longcat",
        {
            {"<longcat_think>a</longcat_think>b<longcat_tool_call>now\n"
             "</longcat_tool_call><longcat_tool_call>\n{\"name\": \"f\"}\n"
             "</longcat_tool_call>",
             "R[a] C[b] call_0=now{} call_1=f{}"},
        });
}

TEST(MessageCases, Minimax) {
  check("minimax_m2",
        {
            {"<minimax:tool_call><invoke name=\"f\"><parameter name=\"a\">"
             "</minimax:tool_call></parameter></invoke></minimax:tool_call>",
             "R[] C[] call_0=f{\"a\":\"</minimax:tool_call>\"}"},
            {"hm\n</think>\n\nOK\n\n<minimax:tool_call>\n<invoke "
             "name=\"get_weather\">"
             "\n<parameter name=\"city\">A\"</parameter>\n<parameter "
             "name=\"days\">2"
             "</parameter>\n</invoke>\n<invoke name=\"now\">\n</invoke>\n"
             "</minimax:tool_call>",
             "R[hm] C[OK] call_0=get_weather{\"city\":\"A\\\"\",\"days\":2} "
             "call_1=now{}",
             "<think>"},
            {"<minimax:tool_call></minimax:tool_call>",
             "R[] C[<minimax:tool_call></minimax:tool_call>]"},
            {"<minimax:tool_call>\n<invoke name=\"f\">x</invoke>\n"
             "</minimax:tool_call>",
             "R[] C[<minimax:tool_call>\n<invoke name=\"f\">x</invoke>\n"
             "</minimax:tool_call>]"},
        });
}

TEST(MessageCases, MiroThinker) {
  check(
      "mirothinker",
      {
          {"OK\n<use_mcp_tool>\n<server_name>s</server_name>\n<tool_name>search"
           "</tool_name>\n<arguments>\n{\"q\": "
           "\"</use_mcp_tool>\"}\n</arguments>\n"
           "</use_mcp_tool>",
           "R[] C[OK] call_0=search{\"q\":\"</use_mcp_tool>\"}"},
          {"<use_mcp_tool>\n<tool_name>f</tool_name>\n<arguments>\nx\n</"
           "arguments>\n"
           "</use_mcp_tool>",
           "R[] C[<use_mcp_tool>\n<tool_name>f</tool_name>\n<arguments>\nx\n"
           "</arguments>\n</use_mcp_tool>]"},
      });
}

TEST(MessageCases, Granite) {
  check("granite", {
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
  check(
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

TEST(MessageCases, Kimi) {
  check("kimi_k2",
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
  check(
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
  check("deepseek_v32",
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
  check(
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

TEST(MessageCases, Pythonic) {
  check("lfm2",
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
  check("llama4_pythonic",
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
  check("llama3",
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

TEST(MessageCases, Functionary) {
  check("functionary_v31",
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
  check(
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

TEST(MessageCases, JsonLists) {
  check("firefunction",
        {
            {"OK functools[{\"name\": \"now\", \"arguments\": {}}]",
             "R[] C[OK] call_0=now{}"},
            {"import functools", "R[] C[import functools]"},
        });
  check("phi4_mini",
        {
            {"<|tool_call|>[{\"name\": \"now\", \"arguments\": "
             "{}}]<|/tool_call|>",
             "R[] C[] call_0=now{}"},
            {"functools[{\"name\": \"now\"}]", "R[] C[] call_0=now{}"},
        });
  check(
      "apertus",
      {
          {"<|inner_prefix|>a<|inner_suffix|>b<|tools_prefix|>[{\"now\": {}}, "
           "{\"search\": {\"q\": \"x\"}}]<|tools_suffix|>",
           "R[a] C[b] call_0=now{} call_1=search{\"q\":\"x\"}"},
          {"<|tools_prefix|>[{}]", "R[] C[<|tools_prefix|>[{}]]"},
      });
  check("gigachat",
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
  check("jamba", {{"OK\n<tool_calls>[\n{\"name\": \"now\", \"arguments\": {}},"
                   "{\"name\": \"f\"}\n]</tool_calls>",
                   "R[] C[OK] call_0=now{} call_1=f{}"}});
  check("nemotron_v2", {{"<think>a</think><TOOLCALL>[{\"name\": \"now\", "
                         "\"arguments\": {}}]</TOOLCALL>",
                         "R[a] C[] call_0=now{}"}});
  check("firefunction_v1",
        {{"<functioncall>{\"name\": \"now\", \"arguments\": {}}",
          "R[] C[] call_0=now{}"},
         {"<plain>Hello", "R[] C[Hello]"}});
  check("functionary_v2",
        {{"all\n<|content|>Hello", "R[] C[Hello]", "<|recipient|>"},
         {"all\n<|content|>OK\n<|from|>assistant\n<|recipient|>f\n<|content|>"
          "{\"a\": 1}\n<|from|>assistant\n<|recipient|>now\n<|content|>{}",
          "R[] C[OK] call_0=f{\"a\":1} call_1=now{}", "<|recipient|>"},
         {"no recipient", "R[] C[no recipient]", "<|recipient|>"}});
  check("minicpm3",
        {{"<|thought_start|>\na\n<|thought_end|>\n<|tool_call_start|>\n"
          "```python\nf(a=\"1\",b=true)\nnow()\n```\n<|tool_call_end|>\n",
          "R[a] C[] call_0=f{\"a\":\"1\",\"b\":true} call_1=now{}"}});
}

TEST(MessageCases, Cohere) {
  check(
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
  check("command_r", {
                         {"Action: ```json\n[\n    {\n        \"tool_name\": "
                          "\"now\",\n        "
                          "\"parameters\": {}\n    }\n]```",
                          "R[] C[] call_0=now{}"},
                         {"Action:\n```json\n[{\"tool_name\": \"now\"}]\n```",
                          "R[] C[] call_0=now{}"},
                         {"Action: none", "R[] C[Action: none]"},
                     });
}

TEST(MessageCases, Gemma) {
  check(
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
  check("function_gemma",
        {
            {"<start_function_call>call:get_weather{city:<escape>A, "
             "b<escape>,days:2}"
             "<end_function_call>",
             "R[] C[] call_0=get_weather{\"city\":\"A, b\",\"days\":2}"},
        });
  check(
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

TEST(MessageCases, GptOss) {
  check(
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
