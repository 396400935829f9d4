// Calls between tags, as models write them and as they go wrong.
#include "tests/unit/text/message_cases.h"

namespace skua {
namespace {

using test::check_cases;

TEST(MessageCases, QwenCoder) {
  check_cases(
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
  check_cases(
      "seed_oss",
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
  check_cases(
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
  check_cases(
      "longcat",
      {
          {"<longcat_think>a</longcat_think>b<longcat_tool_call>now\n"
           "</longcat_tool_call><longcat_tool_call>\n{\"name\": \"f\"}\n"
           "</longcat_tool_call>",
           "R[a] C[b] call_0=now{} call_1=f{}"},
      });
}

TEST(MessageCases, Minimax) {
  check_cases(
      "minimax_m2",
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
  check_cases(
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

}  // namespace
}  // namespace skua
