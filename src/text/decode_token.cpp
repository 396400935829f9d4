#include "text/decode_token.h"

#include <utility>

#include "text/hex.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

std::string clean_up(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replace_all(text, from, to);
  return text;
}

}  // namespace

// The reference also reads a sign ("+F").
int byte_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>')
    return -1;
  const int high = token[3] == '+' ? 0 : hex_value(token[3]);
  const int low = hex_value(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string from_byte_level(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const Utf8Char c = utf8_at(token, at);
    const int byte = byte_level_byte(c.code);
    if (byte < 0) return std::string(token);
    bytes += static_cast<char>(byte);
    at += c.n;
  }
  return bytes;
}

std::string strip(std::string_view text, const DecodeStrip& step) {
  const std::size_t n = step.content.size();
  for (std::size_t i = 0; i < step.start && text.starts_with(step.content); ++i)
    text.remove_prefix(n);
  for (std::size_t i = 0; i < step.stop && text.ends_with(step.content); ++i)
    text.remove_suffix(n);
  return std::string(text);
}

std::string from_metaspace(std::string_view token, const DecodeMetaspace& step,
                           bool first) {
  std::string out;
  for (std::size_t at = 0; at < token.size();) {
    const std::string_view rest = token.substr(at);
    if (rest.starts_with(step.replacement)) {
      if (!first || !step.drop_first) out += ' ';
      at += step.replacement.size();
    } else {
      const std::size_t n = utf8_at(token, at).n;
      out += rest.substr(0, n);
      at += n;
    }
  }
  return out;
}

std::string replace_all(std::string_view text, std::string_view from,
                        std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = text.find(from); found != text.npos;
       found = text.find(from, at)) {
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  return out += text.substr(at);
}

std::string from_word_piece(std::string_view token, const DecodeWordPiece& step,
                            bool first) {
  std::string text;
  if (first)
    text = token;
  else if (token.starts_with(step.prefix))
    text = token.substr(step.prefix.size());
  else
    text = " " + std::string(token);
  return step.cleanup ? clean_up(std::move(text)) : text;
}

std::string from_ctc(std::string_view token, const DecodeCtc& step) {
  std::string text = replace_all(token, step.pad, "");
  if (!step.cleanup) return text;
  return replace_all(clean_up(std::move(text)), step.delimiter, " ");
}

}  // namespace skua
