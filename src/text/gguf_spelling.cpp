#include "text/gguf_spelling.h"

namespace skua {
namespace {

constexpr std::string_view kWordMark = "\xe2\x96\x81";  // U+2581

bool is_bracketed(std::string_view token) {
  return token.starts_with('[') && token.ends_with(']') && token.size() > 2;
}

int hex_value(char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t at = kHex.find(c);
  return at == kHex.npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string spell_as_bert(std::string_view token) {
  if (token.starts_with(kWordMark))
    return std::string(token.substr(kWordMark.size()));
  const bool same = token.empty() || is_bracketed(token);
  return (same ? "" : "##") + std::string(token);
}

std::string unescape_rwkv(std::string_view token) {
  std::string bytes;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '\\' || i + 1 == token.size()) {
      bytes += token[i];
      continue;
    }
    const char kind = token[++i];
    if (kind == 'x' && i + 2 < token.size() && hex_value(token[i + 1]) >= 0 &&
        hex_value(token[i + 2]) >= 0) {
      bytes += static_cast<char>(hex_value(token[i + 1]) * 16 +
                                 hex_value(token[i + 2]));
      i += 2;
    } else if (kind == 't' || kind == 'n' || kind == 'r') {
      bytes += kind == 't' ? '\t' : kind == 'n' ? '\n' : '\r';
    } else {
      bytes += kind;
    }
  }
  return bytes;
}

}  // namespace skua
