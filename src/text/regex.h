#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** A byte range of a text. */
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/** A regular expression in the Oniguruma syntax that tokenizer files use,
 *  run by PCRE2. Const and usable from several threads. */
class Regex {
 public:
  /** `where` names the source in errors. Throws InvalidInput if it is not a
   *  regular expression, Unsupported for syntax whose meaning differs
   *  between the two engines and cannot be rewritten. */
  Regex(std::string_view pattern, const std::string& where);

  /** A regular expression that matches `text` itself. */
  static Regex literal(std::string_view text, const std::string& where);

  /** All matches from left to right without overlap; an empty match right
   *  behind a match is left out. `text` must be valid UTF-8. Throws Error if
   *  the engine gives up (its limits grow with the text). */
  std::vector<TextRange> find_all(std::string_view text) const;

 private:
  friend class RegexSearch;
  Regex() = default;
  void compile(std::string_view pattern);

  std::string where_;
  std::string literal_;  // instead of code_, if not empty
  std::shared_ptr<const void> code_;
};

/** Searches with one Regex in many texts; for one thread. The regex must
 *  outlive it. */
class RegexSearch {
 public:
  explicit RegexSearch(const Regex& regex);
  ~RegexSearch();
  RegexSearch(const RegexSearch&) = delete;
  RegexSearch& operator=(const RegexSearch&) = delete;

  /** As Regex::find_all; appends to `ranges`. */
  void find_all(std::string_view text, std::vector<TextRange>& ranges);

 private:
  class Matcher;
  const Regex& regex_;
  std::unique_ptr<Matcher> matcher_;
};

/** `pattern` with what PCRE2 reads otherwise replaced; public for tests. */
std::string to_pcre2(std::string_view pattern, const std::string& where);

}  // namespace skua
