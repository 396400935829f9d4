// Compares with fixtures that tools/make_template_fixtures.py rendered with
// Jinja2: templates x conversations, and snippets of the language.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "base/json.h"
#include "skua/error.h"
#include "text/chat_template.h"

namespace skua {
namespace {

constexpr std::int64_t kNoonOf20240726 = 1721995200;

TEST(TemplateFixtures, EveryCaseMatchesJinja2) {
  const char* folder = std::getenv("SKUA_TEMPLATE_FIXTURES");
  if (!folder) GTEST_SKIP() << "SKUA_TEMPLATE_FIXTURES is not set";
  const Json cases =
      read_json(std::filesystem::path(folder) / "template_fixtures.json");
  TemplateLimits limits;
  limits.now = kNoonOf20240726;
  int passed = 0;
  for (const auto& each : cases) {
    const std::string name = each["name"];
    std::string got;
    bool failed = false;
    try {
      got = ChatTemplate(each["source"], "t").render(each["context"], limits);
    } catch (const InvalidInput& error) {
      got = error.what();
      failed = true;
    }
    const bool expects_error = each.contains("error");
    const std::string expected = each[expects_error ? "error" : "output"];
    // What templates raise and what is undefined reaches users as it is.
    const bool shown = expected.starts_with("UndefinedError: ") ||
                       expected.starts_with("TemplateError: ");
    const std::string message =
        shown ? expected.substr(expected.find(": ") + 2) : "";
    const bool same = !failed ? got == expected
                      : shown ? got.find(message) != std::string::npos
                              : true;
    if (failed == expects_error && same) {
      ++passed;
    } else {
      ADD_FAILURE() << name << "\ngot      " << Json(got) << "\nexpected "
                    << Json(expected);
    }
  }
  std::printf("template_fixtures.json: %d/%zu\n", passed, cases.size());
}

}  // namespace
}  // namespace skua
