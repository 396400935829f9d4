#include "text/message_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/text/message_support.h"

namespace skua {
namespace {

using test::show;
using ::testing::HasSubstr;

Json one_tool() {
  return Json::parse(R"([{"name": "f"}, {"name": "python"}])");
}

MessageParser parser_of(const char* format, int first_id = 0) {
  return MessageParser(message_format(format),
                       {.tools = one_tool(), .first_id = first_id});
}

std::string repeat(std::string_view text, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += text;
  return out;
}

/** The message of a text that comes in pieces of 1000 bytes. */
ParsedMessage parse_long(const char* format, const std::string& text) {
  auto parser = parser_of(format);
  for (std::size_t at = 0; at < text.size(); at += 1000)
    parser.feed(std::string_view(text).substr(at, 1000));
  parser.finish();
  return parser.message();
}

TEST(MessageParser, DeliversTextAtOnce) {
  auto parser = parser_of("hermes");
  EXPECT_EQ(parser.feed("Hello").content, "Hello");
  // White space may stand before a call.
  EXPECT_EQ(parser.feed(" \n").content, "");
  EXPECT_EQ(parser.feed("you").content, " \nyou");
  EXPECT_EQ(parser.feed(" a <tool").content, " a");
  EXPECT_EQ(parser.feed("s").content, " <tools");
  EXPECT_EQ(parser.feed(" <tool_call> ").content, "");
  EXPECT_EQ(parser.feed("tag").content, " <tool_call> tag");
  EXPECT_EQ(parser.finish().content, "");
}

TEST(MessageParser, DeliversReasoningAndCallsAtOnce) {
  auto parser = parser_of("hermes");
  EXPECT_EQ(show(parser.feed("<think>\nhm")), "R[hm] C[]");
  EXPECT_EQ(show(parser.feed(", so </thi")), "R[, so] C[]");
  EXPECT_EQ(show(parser.feed("nk>\n\nOK")), "R[] C[OK]");
  EXPECT_EQ(show(parser.feed("<tool_call>{\"name\": \"f\"")), "R[] C[]");
  EXPECT_EQ(show(parser.feed("}")), "R[] C[] call_0=f{}");
  EXPECT_EQ(show(parser.feed("</tool_call>")), "R[] C[]");
  EXPECT_EQ(show(parser.finish()), "R[] C[]");
  EXPECT_EQ(show(parser.message()), "R[hm, so] C[OK] call_0=f{}");
}

// A part of a marker waits; with a byte that no marker has it comes out.
TEST(MessageParser, HoldsBackNoLongerThanAMarkerCanCome) {
  for (const auto& format : message_formats()) {
    std::vector<std::string_view> marks = format.before_calls;
    for (const auto& each : format.calls)
      if (!each.keeps_open) marks.push_back(each.open);
    for (const auto mark : marks) {
      for (std::size_t n = 1; n < mark.size(); ++n) {
        MessageParser parser(format, {.tools = one_tool()});
        const std::string part(mark.substr(0, n));
        const std::string before = parser.feed("x" + part).content;
        EXPECT_EQ(before, "x") << format.name << " " << part;
        EXPECT_EQ(parser.feed("\x01").content, part + "\x01")
            << format.name << " " << part;
      }
    }
  }
}

TEST(MessageParser, HoldsBackNoLongerThanReasoningCanBeginOrEnd) {
  for (const auto& format : message_formats()) {
    for (const auto& [open, close] : format.reasoning) {
      for (std::size_t n = 1; n < open.size(); ++n) {
        MessageParser parser(format);
        const std::string part(open.substr(0, n));
        EXPECT_EQ(parser.feed(part).content, "") << format.name << part;
        EXPECT_EQ(parser.feed("\x01").content, part + "\x01") << format.name;
      }
      for (std::size_t n = 1; n < close.size() && !open.empty(); ++n) {
        MessageParser parser(format, {.open_marker = open});
        const std::string part(close.substr(0, n));
        EXPECT_EQ(parser.feed("x" + part).reasoning, "x") << format.name;
        EXPECT_EQ(parser.feed("\x01").reasoning, part + "\x01") << part;
      }
    }
  }
}

TEST(MessageParser, AHeaderHasALimit) {
  for (const char* format :
       {"qwen3_coder", "glm", "mistral", "kimi_k2", "deepseek_v3", "gemma4",
        "functionary_v31", "functionary_v32", "minimax_m2"}) {
    const std::string open(message_format(format).calls[0].open);
    auto parser = parser_of(format);
    const std::string name(kMaxCallHeader, 'a');
    EXPECT_EQ(parser.feed(open + name).content, open + name) << format;
  }
}

// Wherever an answer is cut off, it is read, and what is no call is content.
TEST(MessageParser, UnfinishedCallsAreContent) {
  const struct {
    const char* format;
    std::string call, rest;  // the call is read where `call` is complete
  } cases[] = {
      {"hermes", "a <tool_call>\n{\"name\": \"f\"}", "\n</tool_call>"},
      {"qwen3_coder",
       "a <tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n"
       "</function>",
       "</tool_call>"},
      {"glm",
       "a <tool_call>f<arg_key>k</arg_key><arg_value>1</arg_value>"
       "</tool_call>",
       ""},
      {"mistral", "a [TOOL_CALLS]f[ARGS]{\"a\": {}}", " "},
      {"kimi_k2",
       "a <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
       "<|tool_call_argument_begin|>{}",
       "<|tool_call_end|>"},
      {"gemma4", "a <|tool_call>call:f{a:<|\"|>}<|\"|>}", "<tool_call|>"},
      {"lfm2", "a <|tool_call_start|>[f(a='(')]", "<|tool_call_end|>"},
  };
  for (const auto& [format, call, rest] : cases) {
    for (std::size_t n = 0; n <= call.size(); ++n) {
      const auto message = test::parse_cut(message_format(format),
                                           std::string_view(call).substr(0, n),
                                           {}, {.tools = one_tool()});
      const bool complete = n == call.size();
      EXPECT_EQ(message.calls.size(), complete ? 1U : 0U) << format << n;
      EXPECT_EQ(message.content, complete ? "a" : call.substr(0, n));
    }
    const auto whole = test::parse_cut(message_format(format), call + rest, {},
                                       {.tools = one_tool()});
    EXPECT_EQ(whole.calls.size(), 1U);
    EXPECT_EQ(whole.content, "a");
  }
}

TEST(MessageParser, ALongCallIsContent) {
  const std::string begin = "<tool_call>", end = "</tool_call>";
  const auto call_of = [](std::size_t n_bytes) {
    const std::string head = "{\"name\":\"f\",\"arguments\":{\"a\":\"";
    return head + std::string(n_bytes - head.size() - 3, 'x') + "\"}}";
  };
  const auto longest = parse_long("hermes", begin + call_of(kMaxCallBytes));
  ASSERT_EQ(longest.calls.size(), 1U);
  EXPECT_EQ(longest.content, "");
  const std::string text = begin + call_of(kMaxCallBytes + 1) + end + begin +
                           "{\"name\":\"f\"}" + end;
  const auto over = parse_long("hermes", text);
  // The one behind it is read again.
  ASSERT_EQ(over.calls.size(), 1U);
  EXPECT_EQ(over.content, begin + call_of(kMaxCallBytes + 1) + end);
  EXPECT_EQ(over.calls[0].arguments, "{}");
}

// What the search for a hidden call costs is bounded.
TEST(MessageParser, ALongRefusedCallIsNotSearched) {
  const auto broken = [](std::size_t n_bytes) {
    return "<tool_call>{\"a\": \"" + std::string(n_bytes, 'x') +
           "<tool_call>{\"name\":\"f\"}";
  };
  EXPECT_EQ(parse_long("hermes", broken(1000)).calls.size(), 1U);
  EXPECT_EQ(show(parse_long("hermes", broken(5000))),
            "R[] C[" + broken(5000) + "]");
}

TEST(MessageParser, ReadsALimitedNumberOfCalls) {
  const std::string call = "<tool_call>{\"name\":\"f\"}</tool_call>";
  const auto message = parse_long("hermes", repeat(call, kMaxCalls + 2));
  EXPECT_EQ(message.calls.size(), kMaxCalls);
  EXPECT_EQ(message.content, repeat(call, 2));
  const std::string list =
      "[" + repeat("{\"name\":\"f\"},", kMaxCalls) + "{\"name\":\"f\"}]";
  EXPECT_EQ(parse_long("granite", "<|tool_call|>" + list).content,
            "<|tool_call|>" + list);
}

TEST(MessageParser, NestingHasALimit) {
  const auto nested = [](std::size_t depth) {
    return "<tool_call>{\"name\":\"f\",\"arguments\":" + repeat("[", depth) +
           repeat("]", depth) + "}";
  };
  const auto deep = parse_long("hermes", nested(kMaxLiteralDepth - 1));
  ASSERT_EQ(deep.calls.size(), 1U);
  EXPECT_NO_THROW(parse_json(deep.calls[0].arguments, "arguments"));
  for (const std::size_t depth : {200UL, 100'000UL})
    EXPECT_EQ(parse_long("hermes", nested(depth)).content, nested(depth));
}

// Were a byte of these looked at again for each that follows, they would take
// hours.
TEST(MessageParser, HostileTextTakesLinearTime) {
  constexpr std::size_t kBytes = std::size_t{2} << 20;
  const struct {
    const char* format;
    std::string piece;
  } cases[] = {
      {"hermes", "<tool_call>{\""},
      {"hermes", "<tool_call>"},
      {"hermes", " "},
      {"hermes", "<tool_call>{\"name\": \"f\"} "},
      {"qwen3_coder", "<function=f><parameter=a></function>"},
      {"qwen3_coder", "<function=f>\n"},
      {"qwen3_coder", "<tool_call> "},
      {"glm", "<tool_call>f<arg_key>a</tool_call>"},
      {"minimax_m2", "<minimax:tool_call><invoke name=\""},
      {"deepseek_v3", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"},
      {"mistral", "[TOOL_CALLS]f["},
      {"llama3", "<|python_tag|>x"},
      {"gemma3", "```json\n{\"name\":"},
      {"gemma4", "<|tool_call>call:f{a:<|\"|>"},
      {"gpt_oss", "<|channel|>analysis<|message|>"},
      {"functionary_v32", ">>>f\n{"},
  };
  for (const auto& [format, piece] : cases) {
    const auto text = repeat(piece, kBytes / piece.size());
    const auto message = parse_long(format, text);
    EXPECT_LE(message.content.size() + message.reasoning.size(), text.size());
    // Headers alone say nothing.
    const bool is_empty = message.content.empty() && message.reasoning.empty();
    EXPECT_EQ(is_empty, std::string_view(format) == "gpt_oss") << piece;
  }
}

TEST(MessageParser, IdsAreKeptOrMade) {
  const auto ids = [](MessageParser parser, const char* text) {
    parser.feed(text);
    std::string joined;
    for (const auto& call : parser.message().calls) joined += call.id + " ";
    return joined;
  };
  EXPECT_EQ(ids(parser_of("hermes", 7),
                "<tool_call>{\"name\":\"f\"}</tool_call>"
                "<tool_call>{\"name\":\"f\",\"id\":\"call_8\"}</tool_call>"
                "<tool_call>{\"name\":\"f\"}</tool_call>"),
            "call_7 call_8 call_9 ");
  // Mistral's template takes ids of nine characters alone.
  EXPECT_EQ(ids(parser_of("mistral", 12), "[TOOL_CALLS]f{}[TOOL_CALLS]f{}"),
            "000000012 000000013 ");
}

TEST(MessageParser, BareCallsNeedATool) {
  const std::string text = "{\"name\": \"f\", \"parameters\": {}}";
  MessageParser without(message_format("llama3"));
  EXPECT_EQ(without.feed(text).content, text);
  auto with = parser_of("llama3");
  EXPECT_EQ(show(with.feed(text)), "R[] C[] call_0=f{}");
}

TEST(MessageParser, BytesThatAreNoUtf8PassThrough) {
  const std::string text =
      "a\xff\xc3<tool_call>{\"name\":\"f\",\"arguments\":"
      "{\"x\":\"\xff\"}}</tool_call>\xe2\x82";
  const auto message = test::parse(message_format("hermes"), text);
  EXPECT_EQ(message.content, "a\xff\xc3\xe2\x82");
  ASSERT_EQ(message.calls.size(), 1U);
  EXPECT_EQ(message.calls[0].arguments, "{\"x\":\"\uFFFD\"}");
}

TEST(MessageParser, RefusesBadUse) {
  auto parser = parser_of("plain");
  parser.feed("a");
  parser.finish();
  EXPECT_EQ(show(parser.finish()), "R[] C[]");
  EXPECT_THROW(parser.feed("b"), InvalidInput);
  EXPECT_THROW(
      MessageParser(message_format("plain"), {.open_marker = "[THINK]"}),
      InvalidInput);
  EXPECT_THROW(MessageParser(message_format("plain"), {.tools = "f"}),
               InvalidInput);
}

TEST(MessageFormat, IsChosenByOverrideThenTypeThenTemplate) {
  const auto chosen = [](const char* name, const char* type,
                         const char* chat_template) {
    return choose_message_format(name, type, chat_template).name;
  };
  EXPECT_EQ(chosen("glm", "mistral", "<tool_call>"), "glm");
  EXPECT_EQ(chosen("", "json_tools", "[TOOL_CALLS]"), "hermes");
  EXPECT_EQ(chosen("", "pythonic", ""), "lfm2");
  EXPECT_EQ(chosen("", "glm47", ""), "glm");
  EXPECT_EQ(chosen("", "unheard_of", "[TOOL_CALLS]"), "mistral");
  EXPECT_EQ(chosen("", "", ""), "plain");
  try {
    chosen("unheard_of", "", "");
    FAIL();
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("'unheard_of'"));
    EXPECT_THAT(error.what(), HasSubstr("hermes"));
  }
}

TEST(MessageFormat, TheTypeIsReadFromTheFolder) {
  const test::TempDir folder;
  EXPECT_EQ(find_tool_parser_type(folder.path()), "");
  const auto config = folder.path() / "tokenizer_config.json";
  test::write_text(config, R"({"tool_parser_type": "glm47"})");
  EXPECT_EQ(find_tool_parser_type(folder.path()), "glm47");
  test::write_text(config, R"({"tool_parser_type": null})");
  EXPECT_EQ(find_tool_parser_type(folder.path()), "");
  for (const char* bad : {"[]", R"({"tool_parser_type": 5})", "{"}) {
    test::write_text(config, bad);
    EXPECT_THROW(find_tool_parser_type(folder.path()), InvalidInput) << bad;
  }
}

TEST(MessageFormat, NoMarkerIsTheBeginningOfALongerOne) {
  for (const auto& format : message_formats()) {
    auto marks = format.before_calls;
    for (const auto* list : {&format.after_calls, &format.frames})
      marks.insert(marks.end(), list->begin(), list->end());
    for (const auto& each : format.calls) marks.push_back(each.open);
    for (const auto& each : format.reasoning) {
      marks.push_back(each.open);
      marks.push_back(each.close);
    }
    for (const auto a : marks)
      for (const auto b : marks)
        EXPECT_FALSE(!a.empty() && a != b && b.starts_with(a))
            << format.name << ": " << a << " and " << b;
  }
}

TEST(MessageFormat, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const auto& format : message_formats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    for (const auto alias : format.aliases)
      EXPECT_TRUE(names.insert(alias).second) << alias;
  }
}

}  // namespace
}  // namespace skua
