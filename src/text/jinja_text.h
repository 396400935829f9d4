#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/** Python's view of text, on UTF-8: characters, classes, cases, repr. A byte
 *  that is not UTF-8 counts as one character and is kept as it is. */
namespace skua::jinja {

/** An integer of a template: wide enough for every 64-bit JSON number. */
using Int = __int128;

/** The character at `pos`, which moves behind it; a stray byte b becomes
 *  0xDC00 + b, as in Python's surrogateescape. */
char32_t next_char(std::string_view text, std::size_t& pos);

/** Appends `c` as UTF-8 (0xDC80 to 0xDCFF as the stray byte they stand for). */
void append_char(std::string& out, char32_t c);

std::size_t char_count(std::string_view text);

/** Byte offset of character `index`, at most text.size(). */
std::size_t byte_offset(std::string_view text, std::size_t index);

/** Start of the character that ends at byte `end` > 0. */
std::size_t previous_char(std::string_view text, std::size_t end);

bool is_space(char32_t c);
bool is_printable(char32_t c);
bool is_alpha(char32_t c);
bool is_digit(char32_t c);
bool is_decimal(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_capitalized(std::string_view text);

/** `text` without leading and/or trailing characters: those of `chars`, or
 *  white space where `chars` is null. */
std::string_view strip(std::string_view text, const std::string_view* chars,
                       bool left, bool right);

/** Lines at Python's line boundaries, which are kept where `keep_ends`. */
std::vector<std::string_view> split_lines(std::string_view text,
                                          bool keep_ends = false);

/** Python's repr() of a string, a float, an integer. */
std::string repr_string(std::string_view text);
std::string repr_float(double value);
std::string repr_int(Int value);

/** `text` with & < > ' " replaced as HTML entities. */
std::string escape_html(std::string_view text);

}  // namespace skua::jinja
