#pragma once

#include <string_view>
#include <vector>

#include "text/literal.h"

namespace skua {

/** How an object is spelled. */
struct ObjectSpelling {
  std::string_view open = "{", colon = ":", close = "}";
  /** Names stand without quotes; they have letters, digits, `_`, `-` and `.`
   *  then. */
  bool bare_names = false;
  bool operator==(const ObjectSpelling&) const = default;
};

/** How the values under a schema are spelled. */
struct ValueSpelling {
  /** What strings escape: all that JSON may, what it must, or nothing. */
  enum class Escapes { kAny, kNeeded, kNone };

  std::string_view true_word = "true", false_word = "false", null_word = "null";
  std::string_view quote = "\"";
  Escapes escapes = Escapes::kAny;
  ObjectSpelling object = {};
  /** Of the value that no other one is around. */
  ObjectSpelling outermost = {};
  /** No string and no name has these in it. */
  std::vector<std::string_view> forbidden = {};
};

/** As a LiteralReader reads it. Arguments in Python's spelling stand in round
 *  brackets, as in `f(a=1)`. */
ValueSpelling value_spelling(LiteralSyntax syntax);

}  // namespace skua
