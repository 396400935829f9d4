#include "text/regex.h"

#include <gtest/gtest.h>

#include <random>

namespace skua {
namespace {

// What gguf kinds and tokenizer.json files cut digits in threes with.
const std::vector<std::string> kThrees = {
    R"(\d{1,3}(?=(?:\d{3})*\b))", R"(\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})))",
    R"((?=(\d{3})+(?!\d)))"};

using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;

Pairs matches(const std::string& pattern, const std::string& text) {
  Pairs pairs;
  for (const auto& [begin, end] : Regex(pattern, "test").find_all(text))
    pairs.emplace_back(begin, end);
  return pairs;
}

TEST(Regex, DigitsInThreesAreCutAsThePatternSays) {
  const std::vector<std::string> characters = {
      "1", "2", "3", "4", "\u0663", "\u00bd", "a", "_", " ", "."};
  std::mt19937 random(1);
  for (const std::string& pattern : kThrees) {
    // Only the pattern itself is replaced by its equal.
    const std::string as_written = "(?:" + pattern + ")";
    for (int i = 0; i < 5000; ++i) {
      std::string text;
      for (std::size_t n = random() % 24; n > 0; --n)
        text += characters[random() % (random() % 2 ? 4 : characters.size())];
      ASSERT_EQ(matches(pattern, text), matches(as_written, text))
          << pattern << " in '" << text << "'";
    }
  }
}

// A quadratic search would take minutes.
TEST(Regex, AMegabyteOfDigitsIsCutInThrees) {
  const std::size_t n = (1 << 20) + 1;
  for (const std::string& pattern : kThrees) {
    for (const std::string end : {"", " ", "a"}) {
      const bool never = end == "a" && pattern == kThrees[0];
      const bool empty = pattern == kThrees[2];
      const auto found = matches(pattern, std::string(n, '7') + end);
      ASSERT_EQ(found.size(), never   ? 0
                              : empty ? n / 3
                                      : n / 3 + 1)
          << pattern << end;
      if (never) continue;
      EXPECT_EQ(found.back().first, n - 3);
      EXPECT_EQ(found.back().second, empty ? n - 3 : n);
    }
  }
}

// Jais 2's, with all of its alternatives that match white space.
constexpr const char* kPieces =
    R"([^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)";

TEST(Regex, SpacesInPiecesAreCutAsThePatternSays) {
  // Only the pattern as it is written there is replaced by its equal.
  const std::string as_written =
      R"([^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*)"
      R"(|(?:\s*[\r\n]+)|\s{512}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)";
  const std::vector<std::string> characters = {" ", "\t", "\n", "\r",
                                               "a", ".",  " ",  "\u3000"};
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t n = random() % 24; n > 0; --n)
      text += characters[random() % characters.size()];
    if (i % 100 == 0) text += std::string(1500 + random() % 600, ' ') + text;
    ASSERT_EQ(matches(kPieces, text), matches(as_written, text))
        << "'" << text << "'";
  }
}

// A quadratic search would take seconds, of 8 MB minutes.
TEST(Regex, MegabytesOfSpacesAreCutInPieces) {
  const auto found = matches(kPieces, std::string(8 << 20, ' '));
  ASSERT_EQ(found.size(), (8u << 20) / 512);
}

}  // namespace
}  // namespace skua
