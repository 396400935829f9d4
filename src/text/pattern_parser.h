#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/char_set.h"
#include "text/pattern_nfa.h"

namespace skua {

/** A regular expression as a tree. */
struct PatternNode {
  enum class Kind { kChars, kSequence, kChoice, kRepeat, kBegin, kEnd };
  Kind kind = Kind::kSequence;
  CharSet chars;                      // kChars
  std::vector<PatternNode> children;  // one for kRepeat
  std::int32_t min = 0, max = 0;      // kRepeat; max -1: no bound
};

/** Recursive descent over a pattern of ECMA 262; see compile_pattern. */
class PatternParser {
 public:
  PatternParser(std::string_view text, const std::string& where);
  PatternNode parse();

 private:
  PatternNode choice(int depth);
  PatternNode sequence(int depth);
  PatternNode quantified(PatternNode atom);
  PatternNode atom(int depth);
  PatternNode group(int depth);
  bool read_counts(std::int32_t& min, std::int32_t& max);

  CharSet char_class();
  /** A member of a class; `single` says whether it may bound a range. */
  CharSet class_member(bool& single);
  CharSet escape(bool in_class);
  char32_t hex_escape(int digits);
  char32_t unicode_escape();
  CharSet property(bool negated);

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(std::string_view expected);
  char32_t next_char();
  [[noreturn]] void invalid(const std::string& what) const;
  [[noreturn]] void unsupported(const std::string& what) const;

  std::string_view text_;
  std::string where_;
  std::size_t at_ = 0;
};

}  // namespace skua
