#include "text/utf8.h"

#include <utf8proc.h>

namespace skua {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

struct Sequence {
  std::size_t n = 0;  // bytes looked at that belong together
  bool valid = false;
  bool cut = false;  // the text ends inside the character
};

// Length and smallest and largest second byte, by the first byte.
Sequence scan(std::string_view text, std::size_t at) {
  const std::uint8_t lead = byte_at(text, at);
  if (lead < 0x80) return {1, true, false};
  std::size_t n = 0;
  std::uint8_t low = 0x80, high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) n = 2;
  if (lead >= 0xe0 && lead <= 0xef) n = 3;
  if (lead >= 0xf0 && lead <= 0xf4) n = 4;
  if (n == 0) return {1, false, false};
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (std::size_t i = 1; i < n; ++i) {
    if (at + i >= text.size()) return {i, false, true};
    const std::uint8_t next = byte_at(text, at + i);
    if (next < low || next > high) return {i, false, false};
    low = 0x80;
    high = 0xbf;
  }
  return {n, true, false};
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

}  // namespace

Utf8Char utf8_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  const std::uint8_t lead = byte_at(text, at);
  const auto tail = [&](std::size_t i) {
    return at + i < text.size() ? char32_t{byte_at(text, at + i)} & 0x3f : 0;
  };
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xe0) return {(char32_t{lead} & 0x1f) << 6 | tail(1), 2};
  if (lead < 0xf0)
    return {(char32_t{lead} & 0x0f) << 12 | tail(1) << 6 | tail(2), 3};
  return {
      (char32_t{lead} & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3),
      4};
}

std::size_t utf8_before(std::string_view text, std::size_t end) {
  std::size_t at = end - 1;
  while (at > 0 && (byte_at(text, at) & 0xc0) == 0x80) --at;
  return at;
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

std::u32string to_utf32(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = utf8_at(text, at);
    out += c.code;
    at += c.n;
  }
  return out;
}

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = scan(text, at);
    if (!sequence.valid) return at;
    at += sequence.n;
  }
  return std::string_view::npos;
}

void drain_utf8(std::string& bytes, std::string& out, bool at_end) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Sequence sequence = scan(bytes, at);
    if (sequence.cut && !at_end) break;
    if (sequence.valid)
      out.append(bytes, at, sequence.n);
    else
      out += kReplacement;
    at += sequence.n;
  }
  bytes.erase(0, at);
}

bool is_white_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 ||
         code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

bool is_mark(char32_t code) {
  const auto kind = category(code);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
         kind == UTF8PROC_CATEGORY_ME;
}

bool is_nonspacing_mark(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_MN;
}

bool is_control(char32_t code) {
  const auto kind = category(code);
  return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_CO;
}

bool is_numeric(char32_t code) {
  const auto kind = category(code);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t code) {
  if (code < 0x80)
    return code > 0x20 && code < 0x7f &&
           !((code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
             (code >= 'a' && code <= 'z'));
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool is_word_char(char32_t code) {
  const auto kind = category(code);
  if (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) return true;
  // Circled and squared letters are Alphabetic though of category So.
  return is_mark(code) || kind == UTF8PROC_CATEGORY_ND ||
         kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_PC ||
         code == 0x200c || code == 0x200d ||
         (code >= 0x24b6 && code <= 0x24e9) ||
         (code >= 0x1f130 && code <= 0x1f149) ||
         (code >= 0x1f150 && code <= 0x1f169) ||
         (code >= 0x1f170 && code <= 0x1f189);
}

}  // namespace skua
