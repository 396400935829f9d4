#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** How the values of a tool call are spelled. */
enum class LiteralSyntax {
  kJson,    // JSON, whose strings may hold raw control characters
  kPython,  // also '...', True, False, None, tuples
  kGemma4,  // strings between <|"|>, bare keys and words
  kGemma,   // the same with <escape>
};

inline constexpr std::string_view kGemma4Quote = "<|\"|>";
inline constexpr std::string_view kGemmaQuote = "<escape>";

/** A member of an object; `json` is its value. */
struct LiteralMember {
  std::string key;
  std::string json;
};

/** Values nested deeper are refused: together 128 levels, as in parse_json. */
inline constexpr int kMaxLiteralDepth = 124;
/** Levels that a call puts around its arguments. */
inline constexpr int kMaxCallDepth = 4;

/** Reads the values of one text from front to back and writes each as compact
 *  JSON that parse_json takes: valid UTF-8, numbers with the digits they have.
 *  Every reading function skips white space before it and returns false, at
 *  an unspecified place, where the text is not what it reads. */
class LiteralReader {
 public:
  LiteralReader(std::string_view text, LiteralSyntax syntax)
      : text_(text), syntax_(syntax) {}

  /** Appends one value of any kind to `json`. */
  bool value(std::string& json);
  /** Appends the members of an object. */
  bool members(std::vector<LiteralMember>& members);
  /** Sets `text` to the value of a string. */
  bool string(std::string& text);
  /** Sets `name` to [A-Za-z0-9_.-]+. */
  bool name(std::string& name);
  /** Moves behind `mark` if it comes next. */
  bool take(std::string_view mark);
  bool at_end();
  std::string_view rest() const { return text_.substr(at_); }

 private:
  bool array(std::string& json, std::string_view close);
  bool object(std::string& json);
  bool key(std::string& key);
  bool word(std::string& json);
  bool number(std::string& json);
  bool string_between(std::string_view quote, std::string& text);
  bool escape(std::string& text);
  bool code_unit(std::size_t n_digits, char32_t& code);
  bool unicode_escape(std::string& text);
  bool bare_words() const;
  std::string_view opening_quote() const;
  void skip_space();

  std::string_view text_;
  LiteralSyntax syntax_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

/** `text` as JSON text if it is one value and nothing else. */
std::optional<std::string> literal_to_json(std::string_view text,
                                           LiteralSyntax syntax);

/** `text` as a JSON string; bytes that are not UTF-8 become U+FFFD. */
std::string json_quote(std::string_view text);

/** The members as the text of an object. */
std::string json_object(const std::vector<LiteralMember>& members);

/** Is it a number as JSON spells it, that a double can hold? */
bool is_json_number(std::string_view text);
bool is_json_integer(std::string_view text);

/** `text` without white space (space, tab, CR, LF) at its ends. */
std::string_view trim_space(std::string_view text);

inline bool is_json_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

}  // namespace skua
