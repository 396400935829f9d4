#include "bench/templates.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

#include "text/chat_template.h"

namespace skua::bench {
namespace {

constexpr int kTrials = 20;

template <typename Run>
double microseconds(const Run& run) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto begin = Clock::now();
    run();
    const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
    best = trial == 0 ? time.count() : std::min(best, time.count());
  }
  return best;
}

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

void run_template_tests(const std::filesystem::path& folder,
                        const std::filesystem::path& cases,
                        const std::function<void(const Json&)>& emit) {
  const Json all = parse_json(text_of(cases), cases.string());
  double parse = 0, render = 0;
  int n = 0;
  for (const Json& one : all.at("cases")) {
    const std::filesystem::path name = one.at("template").get<std::string>();
    const auto path = folder / name.filename();
    if (!one.contains("output") || !std::filesystem::exists(path)) continue;
    const std::string source = text_of(path);
    const Json& context =
        all.at("contexts").at(one.at("context").get<std::string>());
    const ChatTemplate parsed(source);
    parsed.render(context);
    parse += microseconds([&] { const ChatTemplate again(source); });
    render += microseconds([&] { parsed.render(context); });
    ++n;
  }
  emit({{"test", "templates"},
        {"cases", n},
        {"parse_us", parse},
        {"render_us", render}});
}

}  // namespace skua::bench
