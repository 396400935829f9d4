#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/sanitized.h"
#include "text/message_parser.h"

namespace skua::test {

struct ParseOptions {
  Json tools = {};
  std::string open_marker = {};
};

/** The message and the deltas joined must be the same. */
inline ParsedMessage parse_cut(const MessageFormat& format,
                               std::string_view text,
                               const std::vector<std::size_t>& cuts,
                               const ParseOptions& options) {
  MessageParser parser(
      format, {.tools = options.tools, .open_marker = options.open_marker});
  ParsedMessage joined;
  const auto add = [&](const ParsedMessage& delta) {
    joined.reasoning += delta.reasoning;
    joined.content += delta.content;
    for (const auto& call : delta.calls) joined.calls.push_back(call);
  };
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    add(parser.feed(text.substr(begin, cut - begin)));
    begin = cut;
  }
  add(parser.feed(text.substr(begin)));
  add(parser.finish());
  const ParsedMessage& whole = parser.message();
  EXPECT_EQ(joined.reasoning, whole.reasoning);
  EXPECT_EQ(joined.content, whole.content);
  EXPECT_EQ(joined.calls.size(), whole.calls.size());
  return joined;
}

/** One line, to compare and to print. */
inline std::string show(const ParsedMessage& message) {
  std::string text = "R[" + message.reasoning + "] C[" + message.content + "]";
  for (const auto& call : message.calls)
    text += " " + call.id + "=" + call.name + call.arguments;
  return text;
}

inline std::vector<std::size_t> every_byte(std::string_view text) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < text.size(); ++i) cuts.push_back(i);
  return cuts;
}

/** Parses the text whole, cut in two at every byte (at some under a sanitizer),
 *  and byte by byte; all must give the same. */
inline ParsedMessage parse(const MessageFormat& format, std::string_view text,
                           const ParseOptions& options = {}) {
  const ParsedMessage whole = parse_cut(format, text, {}, options);
  const std::string expected = show(whole);
  constexpr std::size_t kStep = kSanitized ? 7 : 1;
  for (std::size_t cut = 1; cut < text.size(); cut += kStep)
    EXPECT_EQ(show(parse_cut(format, text, {cut}, options)), expected)
        << "cut at " << cut << " of " << text;
  EXPECT_EQ(show(parse_cut(format, text, every_byte(text), options)), expected)
      << text;
  return whole;
}

}  // namespace skua::test
