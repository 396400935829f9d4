// Tool calls and their results in the form that a template wants.
#include "text/call_forms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "skua/error.h"
#include "tests/support.h"
#include "text/chat_template.h"

namespace skua {
namespace {

using testing::HasSubstr;

Json asked(const char* calls, const char* content = "null") {
  return {{{"role", "user"}, {"content", "Q"}},
          {{"role", "assistant"},
           {"content", Json::parse(content)},
           {"tool_calls", Json::parse(calls)}}};
}

constexpr const char* kTextCall =
    R"([{"function": {"name": "f", "arguments": "{\"a\": [1, null]}"}}])";
constexpr const char* kObjectCall =
    R"([{"function": {"name": "f", "arguments": {"a": [1, null]}}}])";

constexpr const char* kTakesObjects =
    "{% for m in messages %}[{{ m.content }}]{% for c in m.tool_calls %}"
    "{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}";
constexpr const char* kTakesTexts =
    "{% for m in messages %}[{{ m.content }}]{% for c in m.tool_calls %}"
    "{{ '' + c.function.arguments }}{% endfor %}{% endfor %}";
constexpr const char* kTakesNulls =
    "{% for m in messages %}{% if m.content is none %}{% for c in m.tool_calls "
    "%}{{ c.function.arguments | tojson }}{% endfor %}{% else %}[{{ m.content "
    "}}]{% endif %}{% endfor %}";

std::string render(const char* source, const Json& messages) {
  return apply_chat_template(ChatTemplate(source), messages);
}

TEST(CallForms, ATemplateGetsTheFormThatItShows) {
  for (const char* calls : {kTextCall, kObjectCall}) {
    for (const char* content : {"null", "\"\""}) {
      const Json messages = asked(calls, content);
      EXPECT_EQ(render(kTakesObjects, messages), "[Q][]{\"a\": [1, null]}");
      EXPECT_EQ(render(kTakesTexts, messages), "[Q][]{\"a\": [1, null]}");
      EXPECT_EQ(render(kTakesNulls, messages), "[Q]{\"a\": [1, null]}");
    }
  }
}

TEST(CallForms, ATemplateThatShowsNoCallGetsWhatIsGiven) {
  EXPECT_FALSE(ChatTemplate("{{ messages[0].content }}").call_forms().known);
  constexpr const char* kPrints = "{{ messages[1].content }}";
  EXPECT_EQ(render(kPrints, asked(kTextCall)), "None");
}

TEST(CallForms, ArgumentsThatAreNoJsonAreRefusedByTheirPlace) {
  constexpr const char* kBroken =
      R"([{"function": {"name": "f", "arguments": "{}"}},
          {"function": {"name": "f", "arguments": "{a"}}])";
  EXPECT_THAT(test::error_of([] { render(kTakesObjects, asked(kBroken)); }),
              HasSubstr("messages[1].tool_calls[1].function.arguments"));
}

TEST(CallForms, ReasoningGetsTheNameThatTheTemplateHas) {
  constexpr const char* kThinks =
      "{% for m in messages %}<{{ m.thinking }}>{{ m.content }}"
      "{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}"
      "{% endfor %}{% endfor %}";
  Json messages = asked(kObjectCall);
  messages[1]["reasoning_content"] = "hm";
  EXPECT_EQ(render(kThinks, messages), "<>Q<hm>{\"a\": [1, null]}");
}

// Those of the assets that do not want an object and "".
const std::map<std::string, std::string> kForms = {
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja", "text null"},
    {"meetkai-functionary-medium-v3.2.jinja", "text \"\""}};

// Those that show none, or of which the sandbox refuses a statement.
const std::set<std::string> kShowNone = {
    "HuggingFaceTB-SmolLM3-3B.jinja",
    "Kimi-K2-Instruct.jinja",
    "Kimi-K2-Thinking.jinja",
    "LFM2-8B-A1B.jinja",
    "LFM2.5-Instruct.jinja",
    "MiroThinker.jinja",
    "google-gemma-2-2b-it.jinja",
    "ibm-granite-granite-3.3-2B-Instruct.jinja",
    "llama-cpp-deepseek-r1.jinja",
    "llama-cpp-rwkv-world.jinja",
    "microsoft-Phi-3.5-mini-instruct.jinja"};

ChatTemplateOptions options_of(const Json& context) {
  ChatTemplateOptions options;
  options.tools = context["tools"];
  options.bos_token = context["bos_token"].get<std::string>();
  options.eos_token = context["eos_token"].get<std::string>();
  options.extra = {{"functions", context["functions"]},
                   {"datetime", context["datetime"]}};
  options.limits.now = 1721995200;  // noon of 2024-07-26
  return options;
}

bool is_as_expected(const ChatTemplate& chat_template, const Json& messages,
                    const ChatTemplateOptions& options, const Json& expected) {
  try {
    const auto text = apply_chat_template(chat_template, messages, options);
    EXPECT_EQ(text, expected.value("output", "an error"));
    return text == expected.value("output", "");
  } catch (const InvalidInput& error) {
    EXPECT_TRUE(expected.contains("error")) << error.what();
    return expected.contains("error");
  }
}

// Clients send arguments as text and null as content, which half of the
// templates cannot show.
TEST(CallForms, RealTemplatesShowCallsAsJinja2DoesInTheirForm) {
  const char* fixtures = std::getenv("SKUA_TEMPLATE_FIXTURES");
  if (!fixtures) GTEST_SKIP() << "SKUA_TEMPLATE_FIXTURES is not set";
  SKUA_ASSET_OR_SKIP(folder, "templates");
  const Json made =
      read_json(std::filesystem::path(fixtures) / "call_forms.json");
  const ChatTemplateOptions options = options_of(made["context"]);
  int passed = 0, total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = entry.path().filename().string();
    const ChatTemplate chat_template(test::read_text(entry.path()), name);
    EXPECT_NE(chat_template.call_forms().known, kShowNone.contains(name))
        << name;
    if (!chat_template.call_forms().known) {
      std::printf("  left out: %s shows no call to Jinja2 either\n",
                  name.c_str());
      continue;
    }
    const auto form = kForms.find(name);
    for (const auto& [kind, messages] : made["conversations"].items()) {
      SCOPED_TRACE(name + " " + kind);
      ++total;
      passed += is_as_expected(
          chat_template, messages, options,
          made["rendered"][name + " " + kind]
              [form == kForms.end() ? "object \"\"" : form->second]);
    }
  }
  std::printf("templates/: %d/%d conversations with calls\n", passed, total);
}

}  // namespace
}  // namespace skua
