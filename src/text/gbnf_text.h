#pragma once

#include <string>
#include <string_view>

#include "text/char_set.h"

namespace skua {

/** What a rule's name is made of. */
bool is_gbnf_name_char(char c);

/** The text of a grammar in GBNF and how far it was read: names, texts and
 *  classes of characters, and the place of a mistake. */
class GbnfText {
 public:
  /** Throws InvalidInput where the text is not UTF-8. */
  explicit GbnfText(std::string_view text);

  /** Throws InvalidInput for a mistake here, with line and column. */
  [[noreturn]] void invalid(const std::string& what) const;

  bool at_end() const { return at_ >= text_.size(); }
  std::size_t place() const { return at_; }
  void go_to(std::size_t place) { at_ = place; }

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void skip() { ++at_; }
  bool take(std::string_view expected);
  /** White space and comments. */
  void skip_space();

  std::string_view read_name();
  /** A text in quotes. */
  std::string read_text();
  /** What follows the opening bracket of a class. */
  CharSet read_class();

 private:
  char32_t read_char();
  char32_t read_hex(int digits);

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace skua
