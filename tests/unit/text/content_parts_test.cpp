// Content as texts and as lists of parts, for templates that show one of them.
#include "text/content_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/text/rendered_calls.h"
#include "text/chat_template.h"

namespace skua::test {
namespace {

using testing::HasSubstr;

constexpr const char* kTexts =
    "{% for m in messages %}[{{ m.content }}]{% endfor %}";
constexpr const char* kParts =
    "{% for m in messages %}[{% for p in m.content %}{% if p.type == 'text' %}"
    "{{ p.text }}{% else %}<{{ p.type }}>{% endif %}{% endfor %}]{% endfor %}";
constexpr const char* kBoth =
    "{% for m in messages %}{% if m.content is string %}[{{ m.content }}]"
    "{% else %}({% for p in m.content %}{{ p.text }},{% endfor %})"
    "{% endif %}{% endfor %}";

Json user(const char* content) {
  return Json::array({{{"role", "user"}, {"content", Json::parse(content)}}});
}

std::string render(const char* source, const char* content) {
  return apply_chat_template(ChatTemplate(source), user(content));
}

constexpr const char* kTwoTexts =
    R"([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])";

TEST(ContentParts, ATemplateGetsTheFormThatItShows) {
  EXPECT_EQ(render(kTexts, R"("a")"), "[a]");
  EXPECT_EQ(render(kTexts, kTwoTexts), "[a\nb]");
  EXPECT_EQ(render(kTexts, "[]"), "[]");
  EXPECT_EQ(render(kParts, R"("a")"), "[a]");
  EXPECT_EQ(render(kParts, kTwoTexts), "[ab]");
  EXPECT_EQ(render(kParts, R"([{"type": "image"}])"), "[<image>]");
  EXPECT_EQ(render(kBoth, R"("a")"), "[a]");
  EXPECT_EQ(render(kBoth, kTwoTexts), "(a,b,)");
}

TEST(ContentParts, WhatWouldBeLostIsRefusedByItsPlace) {
  const auto refusal = [](const char* content) {
    return error_of([&] { render(kTexts, content); });
  };
  EXPECT_EQ(refusal(R"([{"type": "text", "text": "a"}, {"type": "image"}])"),
            "[messages[0].content[1]] got a part of type \"image\", expected "
            "\"text\": the chat template shows texts alone");
  EXPECT_THAT(refusal(R"(["a"])"), HasSubstr("messages[0].content[0]"));
  EXPECT_THAT(refusal(R"([{"type": "text"}])"), HasSubstr("no 'text'"));
}

TEST(ContentParts, ATemplateThatIsNotKnownGetsWhatIsGiven) {
  const ChatTemplate strict("{{ raise_exception('no system message') }}");
  const ContentForms& forms = strict.content_forms("user");
  EXPECT_TRUE(forms.text && forms.parts);
}

TEST(ContentParts, AContinuedMessageMayHaveParts) {
  ChatTemplateOptions options;
  options.continue_final_message = true;
  EXPECT_EQ(apply_chat_template(ChatTemplate(kTexts), user(kTwoTexts), options),
            "[a\nb");
}

// Those of the assets of which Jinja2 renders a text part as it does a text.
const std::set<std::string> kTakeParts = {
    "Apriel-1.6-15b-Thinker-fixed",
    "Cohere2MoE",
    "GLM-4.6",
    "GLM-4.7-Flash",
    "GLM-5.2",
    "Kimi-K2-Instruct",
    "Kimi-K2-Thinking",
    "Mistral-Small-3.2-24B-Instruct-2506",
    "Qwen3.5-4B",
    "Reka-Edge",
    "StepFun3.5-Flash",
    "google-gemma-4-31B-it",
    "google-gemma-4-31B-it-interleaved",
    "mistralai-Ministral-3-14B-Reasoning-2512",
    "moonshotai-Kimi-K2",
    "stepfun-ai-Step-3.5-Flash",
    "unsloth-Apriel-1.5",
    "unsloth-mistral-Devstral-Small-2507"};

TEST(ContentParts, RealTemplatesShowTextInBothForms) {
  SKUA_ASSET_OR_SKIP(folder, "templates");
  int n_all = 0, n_same = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const auto name = entry.path().stem().string();
    const ChatTemplate chat_template(read_text(entry.path()), name);
    const ContentForms forms = chat_template.content_forms("user");
    EXPECT_TRUE(forms.text) << name;
    ++n_all;
    EXPECT_EQ(forms.parts, kTakeParts.contains(name)) << name;
    const auto text = rendered::render(chat_template, user(R"("Hi")"), true);
    const auto parts = rendered::render(
        chat_template, user(R"([{"type": "text", "text": "Hi"}])"), true);
    n_same += text && text == parts;
    EXPECT_TRUE(text) << name;
    EXPECT_EQ(text, parts) << name;
  }
  std::printf("templates/: %d/%d show a text part as they show a text\n",
              n_same, n_all);
}

TEST(ContentParts, EachRoleIsAskedForItsOwnForm) {
  constexpr const char* kMixed =
      "{% for m in messages %}[{% if m.role == 'user' %}{{ m.content }}"
      "{% else %}{% for p in m.content %}{{ p.text }},{% endfor %}{% endif %}]"
      "{% endfor %}";
  const Json parts = Json::parse(kTwoTexts);
  const Json messages = {{{"role", "system"}, {"content", "s"}},
                         {{"role", "user"}, {"content", parts}},
                         {{"role", "assistant"}, {"content", "x"}},
                         {{"role", "tool"}, {"content", parts}}};
  EXPECT_EQ(apply_chat_template(ChatTemplate(kMixed), messages),
            "[s,][a\nb][x,][a,b,]");
}

// A conversation whose message of this role has this content.
Json with_content(const std::string& role, const Json& content) {
  Json messages = {{{"role", "user"}, {"content", "Q"}}};
  if (role == "system") {
    messages.insert(messages.begin(),
                    Json{{"role", role}, {"content", content}});
  } else if (role == "assistant") {
    messages.push_back({{"role", role}, {"content", content}});
    messages.push_back({{"role", "user"}, {"content", "R"}});
  } else {
    messages.push_back(
        {{"role", "assistant"},
         {"content", nullptr},
         {"tool_calls", {rendered::call("call00003", "now", "{}")}}});
    messages.push_back({{"role", role},
                        {"name", "now"},
                        {"tool_call_id", "call00003"},
                        {"content", content}});
  }
  return messages;
}

void compare_parts_with_texts(const std::filesystem::path& folder,
                              const std::string& role) {
  const Json part = {{"type", "text"}, {"text", "Hi there"}};
  int n_all = 0, n_same = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const auto name = entry.path().stem().string();
    const ChatTemplate chat_template(read_text(entry.path()), name);
    const auto text =
        rendered::render(chat_template, with_content(role, "Hi there"), true);
    const auto parts = rendered::render(
        chat_template, with_content(role, Json::array({part})), true);
    if (!text || text->find("Hi there") == text->npos) {
      std::printf("  left out: %s shows no message of %s\n", name.c_str(),
                  role.c_str());
      continue;
    }
    ++n_all;
    n_same += text == parts;
    EXPECT_EQ(text, parts) << name << " " << role;
  }
  std::printf("templates/: %d/%d show a part of %s as they show a text\n",
              n_same, n_all, role.c_str());
}

TEST(ContentParts, RealTemplatesShowPartsOfEveryRoleAsTexts) {
  SKUA_ASSET_OR_SKIP(folder, "templates");
  for (const char* role : {"system", "assistant", "tool"})
    compare_parts_with_texts(folder, role);
}

}  // namespace
}  // namespace skua::test
