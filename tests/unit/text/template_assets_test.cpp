// Hugging Face's and llama.cpp's chat templates, as Jinja2 renders them.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"
#include "text/chat_template.h"

namespace skua {
namespace {

constexpr std::int64_t kNoonOf20240726 = 1721995200;
constexpr std::int64_t kNoonOf20250710 = 1752148800;

struct Score {
  int passed = 0;
  int total = 0;
};

/** Renders one case and compares; `error` is the reference's message. */
void check(Score& score, const std::string& name, const std::string& source,
           const Json& context, const std::optional<std::string>& expected,
           const std::string& error = "", std::int64_t now = kNoonOf20240726) {
  ++score.total;
  TemplateLimits limits;
  limits.now = now;
  try {
    const std::string text = ChatTemplate(source, name).render(context, limits);
    if (expected && text == *expected) {
      ++score.passed;
    } else if (expected) {
      ADD_FAILURE() << name << ": got\n" << text << "\nexpected\n" << *expected;
    } else {
      ADD_FAILURE() << name << ": got text, expected the error " << error
                    << "\n"
                    << text;
    }
  } catch (const InvalidInput& failure) {
    const std::string message = failure.what();
    if (expected || message.find(error) == std::string::npos) {
      ADD_FAILURE() << name << ": " << message << "\nexpected "
                    << (expected ? *expected : error);
    } else {
      ++score.passed;
    }
  }
}

void leave_out(const std::string& name, const char* reason) {
  std::printf("  left out: %s: %s\n", name.c_str(), reason);
}

void report(const char* file, const Score& score) {
  std::printf("%s: %d/%d\n", file, score.passed, score.total);
  EXPECT_EQ(score.passed, score.total);
}

/** "TypeError: text" without the exception's name. */
std::string message_of(const std::string& error) {
  const std::size_t colon = error.find(": ");
  return colon == std::string::npos ? error : error.substr(colon + 2);
}

TEST(TemplateAssets, GoldenRenderingsMatchJinja2) {
  SKUA_ASSET_OR_SKIP(path, "templates/golden_renderings.json");
  const Json golden = read_json(path);
  Score score;
  for (const auto& each : golden["cases"]) {
    const std::string file = each["template"];
    const std::string context = each["context"];
    const auto source =
        path.parent_path() / std::filesystem::path(file).filename();
    if (!file.starts_with("ik_llama/")) {
      leave_out(file + " with " + context, "the assets lack this template");
      continue;
    }
    std::optional<std::string> expected;
    if (each.contains("output")) expected = each["output"].get<std::string>();
    check(score, file + " with " + context, test::read_text(source),
          golden["contexts"][context], expected,
          expected ? "" : message_of(each["error"]));
  }
  EXPECT_GE(score.total, 224);
  report("golden_renderings.json", score);
}

TEST(TemplateAssets, EndToEndCasesMatchJinja2) {
  SKUA_ASSET_OR_SKIP(path, "templates/e2e_cases.json");
  Score score;
  for (const auto& each : read_json(path)) {
    if (each["jinja2_agrees"] != true) {
      leave_out(each["name"],
                "Jinja2 does not render the target; the case is "
                "among TemplateFixtures with what it renders");
      continue;
    }
    check(score, each["name"], each["chat_template"], each["data"],
          each["target"].get<std::string>(), "", kNoonOf20250710);
  }
  report("e2e_cases.json", score);
}

TEST(TemplateAssets, LanguageCasesMatchJinja2) {
  SKUA_ASSET_OR_SKIP(path, "templates/template_cases.json");
  Score score;
  for (const auto& each : read_json(path)) {
    if (each["context_has_function"] == true) {
      leave_out(each["name"], "it calls functions of JavaScript");
      continue;
    }
    std::optional<std::string> expected;
    if (each.contains("jinja2_output")) {
      expected = each["jinja2_output"].get<std::string>();
    }
    check(score, each["name"], each["template"], each["context"], expected);
  }
  report("template_cases.json", score);
}

}  // namespace
}  // namespace skua
