#include "generate/stop_matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "skua/error.h"
#include "tests/support.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

using ::testing::HasSubstr;
using Stops = std::vector<std::string>;

struct Match {
  std::size_t start = 0;
  std::size_t stop = 0;
};

// A search of the whole text: earliest start, then the order given.
std::optional<Match> search(const Stops& stops, std::string_view text) {
  std::optional<Match> best;
  for (std::size_t i = 0; i < stops.size(); ++i) {
    const std::size_t start = text.find(stops[i]);
    if (start != std::string::npos && (!best || start < best->start))
      best = Match{start, i};
  }
  return best;
}

// Whether the text ends with a part of stop i that starts at `start`.
bool has_begun(const std::string& stop, std::string_view text,
               std::size_t start) {
  const std::string_view end = text.substr(start);
  return end.size() < stop.size() && stop.starts_with(end);
}

// Of what has come so far: a match that nothing later can replace.
std::optional<Match> certain(const Stops& stops, std::string_view text) {
  const std::optional<Match> best = search(stops, text);
  if (!best) return {};
  for (std::size_t i = 0; i < stops.size(); ++i)
    for (std::size_t start = 0; start <= best->start; ++start)
      if ((start < best->start || i < best->stop) &&
          has_begun(stops[i], text, start))
        return {};
  return best;
}

std::size_t bytes_held(const Stops& stops, std::string_view text) {
  for (std::size_t start = 0; start < text.size(); ++start)
    for (const std::string& stop : stops)
      if (has_begun(stop, text, start)) return text.size() - start;
  return 0;
}

std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    out.push_back(text.substr(at, utf8_at(text, at).n));
    at += out.back().size();
  }
  return out;
}

std::string answer(const Stops& stops, std::string_view text,
                   std::optional<Match> match, bool include) {
  if (!match) return std::string(text);
  return std::string(
      text.substr(0, match->start + (include ? stops[match->stop].size() : 0)));
}

// What the pieces give must be what searches of the whole text give, after
// each piece and at the end.
void expect_right(const Stops& stops, const std::vector<std::string>& pieces,
                  bool include) {
  StopMatcher matcher(stops, include);
  std::string text;
  std::string given;
  bool stopped = false;
  for (const std::string& piece : pieces) {
    text += piece;
    const StopMatcher::Found found = matcher.push(piece);
    given += found.text;
    if (stopped) {
      EXPECT_EQ(found.text, "");
      EXPECT_FALSE(found.stop);
      continue;
    }
    // Each character may make the match certain, so none may be skipped.
    std::optional<Match> match;
    for (std::size_t n = text.size() - piece.size() + 1; n <= text.size(); ++n)
      if (!match) match = certain(stops, std::string_view(text).substr(0, n));
    ASSERT_EQ(found.stop.has_value(), match.has_value()) << text;
    stopped = match.has_value();
    if (stopped) {
      EXPECT_EQ(*found.stop, match->stop);
      EXPECT_EQ(given, answer(stops, text, match, include));
    } else {
      EXPECT_EQ(given, text.substr(0, text.size() - bytes_held(stops, text)));
    }
    EXPECT_EQ(find_invalid_utf8(found.text), std::string::npos);
  }
  const StopMatcher::Found rest = matcher.finish();
  given += rest.text;
  const std::optional<Match> match = search(stops, text);
  EXPECT_EQ(given, answer(stops, text, match, include));
  const auto expected =
      match && !stopped ? std::optional(match->stop) : std::nullopt;
  EXPECT_EQ(rest.stop, expected);
  EXPECT_EQ(matcher.finish().text, "");
  EXPECT_EQ(matcher.push("more").text, "");
}

// All ways to cut up to 12 characters, else all single and double cuts.
std::vector<std::vector<std::string>> splits(const std::string& text) {
  const std::vector<std::string> all = characters(text);
  std::vector<std::vector<std::string>> out;
  const auto join = [&](std::size_t from, std::size_t to) {
    std::string joined;
    for (std::size_t i = from; i < to; ++i) joined += all[i];
    return joined;
  };
  if (all.size() > 12) {
    for (std::size_t a = 0; a < all.size(); ++a)
      for (std::size_t b = a; b <= all.size(); ++b)
        out.push_back({join(0, a), join(a, b), join(b, all.size())});
    out.push_back(all);
    return out;
  }
  for (unsigned cuts = 0; cuts < 1u << (all.size() - 1); ++cuts) {
    out.emplace_back(1);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i > 0 && cuts >> (i - 1) & 1) out.back().emplace_back();
      out.back().back() += all[i];
    }
  }
  return out;
}

struct Case {
  Stops stops;
  std::string text;
};

// GEN-48, GEN-50, GEN-51
TEST(StopMatcher, FindsTheSameInEverySplitOf20Texts) {
  const std::vector<Case> cases = {
      {{"END"}, "some text END and more"},
      {{"END"}, "ENTER the END"},
      {{"END"}, "xENDy"},
      {{"END"}, "ENEND"},
      {{"\n\n"}, "a\nb\n\n\nc"},
      {{"bc", "abcd"}, "xabcd"},
      {{"bc", "abcd"}, "xabcx"},
      {{"bc", "abcd"}, "xabc"},
      {{"ab", "abcd"}, "xabcd"},
      {{"abcd", "ab"}, "xabcd"},
      {{"abcd", "ab"}, "xabce"},
      {{"c", "bcd", "abcde"}, "abcdabcd"},
      {{"aab"}, "aaaaab"},
      {{"aabaaab", "baa"}, "aabaabaaab"},
      {{"a", "aa", "aaa"}, "baaa"},
      {{"aaa", "aa", "a"}, "baa"},
      {{"🙂🙃"}, "hi 🙂🙂🙃!"},
      {{"👨‍👩‍👧", "👨‍👩‍👦"},
       "a👨‍👩👨‍👩‍👦z"},
      {{"结束。", "束"}, "这结束了，结束。完"},
      {{"ёж", "ж"}, "ёёжик"},
      {{"<|im_end|>", "</s>"}, "a <|im_start|> <|im_end|"},
      {{"observation:", "serve"}, "an observation:"},
  };
  for (const Case& c : cases)
    for (const std::vector<std::string>& pieces : splits(c.text))
      for (const bool include : {false, true})
        expect_right(c.stops, pieces, include);
}

// GEN-48, GEN-51
TEST(StopMatcher, EqualsSearchOfTheWholeTextOnRandomTexts) {
  std::mt19937 engine(7);
  const auto word = [&](const Stops& letters, std::size_t n) {
    std::string out;
    while (n-- > 0) out += letters[engine() % letters.size()];
    return out;
  };
  const std::vector<Stops> alphabets = {
      {"a", "b"}, {"a", "b", "c"}, {"é", "è", "ぃ", "🙂"}};
  int n_stopped = 0;
  for (int i = 0; i < 20000 && !::testing::Test::HasFailure(); ++i) {
    const Stops& letters = alphabets[engine() % alphabets.size()];
    Stops stops(1 + engine() % 4);
    for (std::string& stop : stops) stop = word(letters, 1 + engine() % 6);
    std::vector<std::string> pieces(1 + engine() % 8);
    std::string text;
    for (std::string& piece : pieces) {
      piece = word(letters, engine() % 4);
      text += piece;
    }
    n_stopped += search(stops, text).has_value();
    expect_right(stops, pieces, engine() % 2);
  }
  EXPECT_GT(n_stopped, 4000);
  EXPECT_LT(n_stopped, 18000);
}

// GEN-49
TEST(StopMatcher, ReleasesWhatNoStopFollows) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("EN").text, "");
  EXPECT_EQ(matcher.push("TE").text, "ENT");
  EXPECT_EQ(matcher.push("R").text, "ER");
  EXPECT_EQ(matcher.push("E").text, "");
  const StopMatcher::Found rest = matcher.finish();
  EXPECT_EQ(rest.text, "E");
  EXPECT_FALSE(rest.stop);
}

// GEN-51: the earlier start waits for its rest; without it the other counts.
TEST(StopMatcher, PrefersTheEarlierStartEvenIfItEndsLater) {
  StopMatcher whole({"bc", "abcd"});
  EXPECT_FALSE(whole.push("abc").stop);
  EXPECT_EQ(whole.push("d").stop, 1u);
  StopMatcher broken({"bc", "abcd"});
  EXPECT_EQ(broken.push("abc").text, "");
  const StopMatcher::Found found = broken.push("e");
  EXPECT_EQ(found.text, "a");
  EXPECT_EQ(found.stop, 0u);
}

// GEN-52
TEST(StopMatcher, FindsStopInTheLastPieceAndAtTheEnd) {
  StopMatcher last({"END"});
  EXPECT_EQ(last.push("xEN").text, "x");
  EXPECT_EQ(last.push("D").stop, 0u);
  EXPECT_EQ(last.finish().text, "");
  StopMatcher waiting({"bc", "abcd"});
  EXPECT_FALSE(waiting.push("xabc").stop);
  const StopMatcher::Found found = waiting.finish();
  EXPECT_EQ(found.text, "a");
  EXPECT_EQ(found.stop, 0u);
}

// GEN-52, GEN-62: half of a character becomes text in the flush alone.
TEST(StopMatcher, FindsStopInTheFlushedTailOfTheDetokenizer) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K/hf");
  const auto tokenizer = load_tokenizer(folder);
  const std::string broken = "\uFFFD";
  for (const std::string& stop : {broken, "a" + broken, "b" + broken}) {
    Detokenizer detokenizer(tokenizer);
    StopMatcher matcher({stop});
    std::string text;
    std::vector<std::int32_t> ids =
        tokenizer->encode("a", {.add_special = false});
    ids.push_back(3 + 0xf0);  // The byte tokens follow three others.
    for (const std::int32_t id : ids)
      text += matcher.push(detokenizer.push(id)).text;
    const StopMatcher::Found tail = matcher.push(detokenizer.finish());
    text += tail.text + matcher.finish().text;
    const std::string whole = tokenizer->decode(ids);
    ASSERT_TRUE(whole.ends_with("a" + broken)) << whole;
    EXPECT_EQ(tail.stop.has_value(), whole.ends_with(stop));
    EXPECT_EQ(text, whole.substr(0, whole.find(stop)));
  }
}

// GEN-55, GEN-56
TEST(StopMatcher, KeepsTheStopIfAskedAndNamesIt) {
  StopMatcher matcher({"never", "END"}, true);
  EXPECT_EQ(matcher.push("a E").text, "a ");
  const StopMatcher::Found found = matcher.push("ND.");
  EXPECT_EQ(found.text, "END");
  EXPECT_EQ(found.stop, 1u);
}

TEST(StopMatcher, PassesEverythingWithoutStops) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.push("END").text, "END");
  EXPECT_EQ(matcher.push("").text, "");
  EXPECT_EQ(matcher.finish().text, "");
  EXPECT_EQ(matcher.push("more").text, "");
}

std::string refusal(Stops stops) {
  try {
    StopMatcher matcher(std::move(stops));
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "accepted";
}

// GEN-54
TEST(StopMatcher, RefusesEmptyBrokenAndTooManyStops) {
  EXPECT_EQ(refusal({"a", ""}),
            "[options] stop: got an empty string, expected text");
  EXPECT_THAT(refusal({"a\xff"}), HasSubstr("[options] stop: got 'a?'"));
  EXPECT_THAT(refusal({"\xf0\x9f\x99"}), HasSubstr("expected UTF-8"));
  EXPECT_EQ(refusal(Stops(65, "a")),
            "[options] stop: got 65 strings, expected at most 64");
  EXPECT_EQ(refusal(Stops(64, "a")), "accepted");
}

// GEN-53: the rate is measured by skua_bench; here that no cost explodes.
TEST(StopMatcher, HostileStopsOver100000Characters) {
  Stops stops;
  for (std::size_t n = 1; n <= 64; ++n)
    stops.push_back(std::string(n * 1500, 'a') + "b");
  StopMatcher matcher(stops);
  std::size_t n_given = 0;
  for (int i = 0; i < 100000; ++i) n_given += matcher.push("a").text.size();
  EXPECT_EQ(n_given, 100000 - 64 * 1500);
  const StopMatcher::Found found = matcher.push("b");
  EXPECT_EQ(found.stop, 63u);
  EXPECT_EQ(n_given + found.text.size(), 100000 - 64 * 1500);
}

}  // namespace
}  // namespace skua
