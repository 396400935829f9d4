#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "text/literal.h"

namespace skua {

/** Finds the end of a value in brackets, or of a string, in text that comes
 *  piece by piece. Brackets within strings do not count. It reads each byte
 *  once. */
class BracketScanner {
 public:
  enum class Result { kMore, kDone, kBroken };

  explicit BracketScanner(LiteralSyntax syntax) : syntax_(syntax) {}

  /** Goes on at `at`, where it was left; `text` may have grown at its end.
   *  Leaves `at` behind the value (kDone), at what cannot be (kBroken), or
   *  where it needs more, which may be behind the text. */
  Result scan(std::string_view text, std::size_t& at);

 private:
  Result inside(std::string_view rest, std::size_t& at);
  Result outside(std::string_view rest, std::size_t& at);

  LiteralSyntax syntax_;
  std::string open_;        // the closing brackets that are due
  std::string_view quote_;  // ends the string that is being read
};

}  // namespace skua
