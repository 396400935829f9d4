#include "bench/stops.h"

#include <chrono>
#include <string>
#include <vector>

#include "base/trials.h"
#include "generate/stop_matcher.h"

namespace skua::bench {
namespace {

constexpr std::size_t kCharacters = 100000;
constexpr std::size_t kStops = 64;
constexpr int kTrials = 9;

std::string repeated(const std::string& part) {
  std::string text;
  while (text.size() < kCharacters) text += part;
  text.resize(kCharacters);
  return text;
}

double nanoseconds_per_character(const StopMatcher& fresh,
                                 const std::string& text) {
  using Clock = std::chrono::steady_clock;
  StopMatcher matcher = fresh;
  const auto begin = Clock::now();
  for (const char& c : text) matcher.push({&c, 1});
  const std::chrono::duration<double, std::nano> time = Clock::now() - begin;
  return time.count() / kCharacters;
}

}  // namespace

// GEN-53
void run_stop_tests(const std::function<void(const Json&)>& emit) {
  std::vector<std::string> words;
  std::vector<std::string> prefixes;
  for (std::size_t i = 0; i < kStops; ++i) {
    words.push_back("\n" + std::to_string(i) + "</stop>");
    prefixes.push_back(std::string(i + 1, 'a') + "b");
  }
  struct Kind {
    const char* name;
    std::vector<std::string> stops;
    std::string text;
  };
  const std::vector<Kind> kinds = {
      {"none", {}, repeated("The quick brown fox.\n1 ")},
      {"prose", words, repeated("The quick brown fox.\n1 ")},
      {"hostile", prefixes, repeated(std::string(70, 'a') + "c")},
  };
  for (const auto& [name, stops, text] : kinds) {
    const StopMatcher matcher(stops);
    nanoseconds_per_character(matcher, text);
    std::vector<double> rates;
    for (int trial = 0; trial < kTrials; ++trial)
      rates.push_back(1 / nanoseconds_per_character(matcher, text));
    const Rate rate = summarize(rates);
    emit({{"test", name},
          {"stops", stops.size()},
          {"characters", kCharacters},
          {"ns_per_character",
           {{"best", 1 / rate.best}, {"median", 1 / rate.median}}}});
  }
}

}  // namespace skua::bench
