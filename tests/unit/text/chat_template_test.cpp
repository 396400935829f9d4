#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "skua/error.h"
#include "tests/support.h"

namespace skua {
namespace {

using ::testing::HasSubstr;

constexpr const char* kChatMl =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

std::string error_of(const std::string& source,
                     const Json& context = Json::object(),
                     const TemplateLimits& limits = {}) {
  try {
    ChatTemplate(source, "t").render(context, limits);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no error";
}

Json messages() {
  return Json::parse(R"([{"role": "user", "content": "Hi"},
                         {"role": "assistant", "content": "  Well, "}])");
}

TEST(ChatTemplate, ErrorsNameLineAndColumn) {
  EXPECT_EQ(error_of("a\n{{ x.y }}"), "[t:2:5] 'x' is undefined");
  EXPECT_EQ(error_of("a\n b {% nosuch %}"),
            "[t:2:7] Encountered unknown tag 'nosuch'");
  EXPECT_EQ(error_of("é{{ raise_exception('no ' ~ 1) }}"), "[t:1:20] no 1");
}

TEST(ChatTemplate, AddsTheGenerationPromptByDefault) {
  const ChatTemplate chat_template(kChatMl);
  EXPECT_EQ(apply_chat_template(chat_template, messages()),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n  Well, "
            "<|im_end|>\n<|im_start|>assistant\n");
  ChatTemplateOptions options;
  options.add_generation_prompt = false;
  EXPECT_THAT(apply_chat_template(chat_template, messages(), options),
              ::testing::EndsWith("Well, <|im_end|>\n"));
}

TEST(ChatTemplate, ContinuesTheFinalMessage) {
  ChatTemplateOptions options;
  options.continue_final_message = true;
  // Transformers cuts to the trimmed text where it was not shown as given.
  EXPECT_THAT(apply_chat_template(ChatTemplate(kChatMl), messages(), options),
              ::testing::EndsWith("<|im_start|>assistant\n  Well,"));
  Json plain = messages();
  plain[1]["content"] = "Well, ";
  EXPECT_THAT(apply_chat_template(ChatTemplate(kChatMl), plain, options),
              ::testing::EndsWith("<|im_start|>assistant\nWell, "));
  EXPECT_THROW(
      apply_chat_template(ChatTemplate("nothing"), messages(), options),
      InvalidInput);
}

TEST(ChatTemplate, PassesToolsTokensAndFurtherVariables) {
  const ChatTemplate chat_template(
      "{{ bos_token }}|{{ eos_token is defined }}|{{ tools }}|{{ extra }}|"
      "{{ documents }}");
  EXPECT_EQ(apply_chat_template(chat_template, messages()),
            "|False|None||None");
  ChatTemplateOptions options;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  options.tools = Json::parse(R"([{"name": "f"}])");
  options.extra = {{"extra", 3}, {"documents", "d"}};
  EXPECT_EQ(apply_chat_template(chat_template, messages(), options),
            "<s>|True|[{'name': 'f'}]|3|d");
}

TEST(ChatTemplate, RefusesMessagesOfAnotherShape) {
  const ChatTemplate chat_template(kChatMl);
  for (const char* bad :
       {"{}", "[1]", "[{\"content\": \"x\"}]", "[{\"role\": 1}]", "\"hi\""}) {
    EXPECT_THROW(apply_chat_template(chat_template, Json::parse(bad)),
                 InvalidInput)
        << bad;
  }
}

TEST(ChatTemplate, RendersFromSeveralThreadsAtOnce) {
  const ChatTemplate chat_template(kChatMl);
  const std::string expected = apply_chat_template(chat_template, messages());
  std::vector<std::string> texts(4);
  {
    std::vector<std::jthread> threads;
    for (auto& text : texts) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          text = apply_chat_template(chat_template, messages());
        }
      });
    }
  }
  for (const auto& text : texts) EXPECT_EQ(text, expected);
}

TEST(ChatTemplate, LimitsStopRunawayTemplates) {
  TemplateLimits limits;
  limits.max_steps = 100'000;
  limits.max_output_bytes = 10'000;
  limits.max_memory_bytes = 1'000'000;
  const auto stopped_by = [&](const std::string& source, const char* limit) {
    EXPECT_THAT(error_of(source, Json::object(), limits), HasSubstr(limit))
        << source.substr(0, 80);
  };
  const std::string loop = "{% for i in range(99999) %}";
  stopped_by(loop + loop + "{% endfor %}{% endfor %}", "max_");
  stopped_by("{{ 'a' * 10 ** 9 }}", "max_memory_bytes");
  stopped_by("{{ [1] * 10 ** 9 }}", "max_memory_bytes");
  stopped_by("{{ 'a'.center(10 ** 12) }}", "max_memory_bytes");
  stopped_by("{{ '%1000000000d' % 5 }}", "max_memory_bytes");
  stopped_by("{{ 'a\nb'|indent(10 ** 12) }}", "max_memory_bytes");
  stopped_by("{{ [1]|tojson(indent=10 ** 12) }}", "max_memory_bytes");
  stopped_by("{{ ('a' * 1000).replace('a', 'b' * 100000) }}", "max_");
  stopped_by("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "max_depth");
  stopped_by("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
             "max_depth");
  stopped_by("{% for i in range(5000) %}abc{% endfor %}", "max_output_bytes");
  stopped_by(
      "{% set ns = namespace(x=[]) %}{% for i in range(300) %}"
      "{% set ns.x = [ns.x] %}{% endfor %}",
      "nested too deep");
  stopped_by(
      "{% set ns = namespace(x=[]) %}{% for i in range(60) %}"
      "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "max_");
}

TEST(ChatTemplate, DeepNestingIsAnErrorOfSyntax) {
  const auto repeat = [](const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  constexpr int kDeep = 100'000;
  for (const std::string& source :
       {"{{ " + repeat("(", kDeep) + "1" + repeat(")", kDeep) + " }}",
        "{{ " + repeat("[", kDeep) + repeat("]", kDeep) + " }}",
        "{{ " + repeat("not ", kDeep) + "1 }}",
        "{{ " + repeat("-", kDeep) + "1 }}",
        "{{ 1" + repeat(" + 1", kDeep) + " }}",
        "{{ x" + repeat(".y", kDeep) + " }}",
        "{{ x" + repeat("|e", kDeep) + " }}",
        "{{ " + repeat("1 if 1 else ", kDeep) + "1 }}",
        repeat("{% if 1 %}", kDeep), repeat("{% for x in y %}", kDeep)}) {
    EXPECT_THAT(error_of(source), HasSubstr("nested too deep"))
        << source.substr(0, 40);
  }
}

TEST(ChatTemplate, CyclesThroughNamespacesAreFreed) {
  EXPECT_EQ(ChatTemplate("{% set ns = namespace() %}{% set ns.me = ns %}"
                         "{% macro m() %}{{ ns }}{% endmacro %}"
                         "{% set ns.m = m %}"
                         "{% for i in [1] %}{{ loop.changed(loop) }}"
                         "{% endfor %}")
                .render(Json::object()),
            "True");
}

TEST(ChatTemplate, FindsTheTemplateOfAFolder) {
  const test::TempDir folder;
  EXPECT_EQ(find_chat_template(folder.path()), std::nullopt);
  const auto config = folder.path() / "tokenizer_config.json";
  test::write_text(config, R"({"chat_template": [
      {"name": "tool_use", "template": "T"},
      {"name": "default", "template": "D"}]})");
  EXPECT_EQ(find_chat_template(folder.path()), "D");
  EXPECT_EQ(find_chat_template(folder.path(), true), "T");
  test::write_text(config, R"({"chat_template": "S"})");
  EXPECT_EQ(find_chat_template(folder.path(), true), "S");
  test::write_text(config, R"({"chat_template": 5})");
  EXPECT_THROW(find_chat_template(folder.path()), InvalidInput);
  test::write_text(folder.path() / "chat_template.jinja", "J");
  EXPECT_EQ(find_chat_template(folder.path()), "J");
}

}  // namespace
}  // namespace skua
