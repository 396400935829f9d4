#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace skua {

/** One decoded character: its code point and its bytes; n = 0 at the end of
 *  the text. */
struct Utf8Char {
  char32_t code = 0;
  std::size_t n = 0;
};

/** The character at `text[at]`, which must be valid UTF-8. */
Utf8Char utf8_at(std::string_view text, std::size_t at);

/** The start of the character that ends before `text[end]`, end > 0. */
std::size_t utf8_before(std::string_view text, std::size_t end);

void append_utf8(std::string& out, char32_t code);

/** The characters of valid UTF-8. */
std::u32string to_utf32(std::string_view text);

/** Offset of the first byte that is not UTF-8 (overlong forms, surrogates
 *  and cut characters included), or npos. */
std::size_t find_invalid_utf8(std::string_view text);

/** Moves text from the front of `bytes` to `out`: whole characters as they
 *  are, each maximal broken part as U+FFFD (Unicode 15, section 3.9). An
 *  unfinished character at the end stays in `bytes` unless `at_end`. */
void drain_utf8(std::string& bytes, std::string& out, bool at_end);

/** Unicode properties as the Rust standard library and its regex crate see
 *  them, which the reference tokenizer uses. */
bool is_white_space(char32_t code);
bool is_word_char(char32_t code);
bool is_numeric(char32_t code);
bool is_punctuation(char32_t code);
bool is_mark(char32_t code);
bool is_nonspacing_mark(char32_t code);
/** Of a control, format or private-use category. */
bool is_control(char32_t code);

}  // namespace skua
