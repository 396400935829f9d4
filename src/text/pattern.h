#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/char_set.h"
#include "text/dfa.h"

namespace skua {

/** The language of a regular expression of ECMA 262 (as with flag u). A whole
 *  text must match, or, with `search`, any part of it as `pattern` of JSON
 *  schema asks for. Throws InvalidInput that names the byte of a mistake, and
 *  Unsupported for what is not regular or not known: backreferences,
 *  lookaround, word boundaries, inline flags, properties other than general
 *  categories. */
Dfa compile_pattern(std::string_view pattern, bool search,
                    const std::string& where);

/** Every text without these in it; empty ones do not count. */
Dfa dfa_without(const std::vector<std::string_view>& marks);

/** The class behind a backslash: d, D, w, W, s, S; absent for others. */
std::optional<CharSet> pattern_class(char32_t letter);
/** The characters that `.` takes: all but line ends. */
CharSet pattern_dot();
/** A general category as \p{...} names it, e.g. "Lu", "Letter" or "gc=L";
 *  absent for other properties. */
std::optional<CharSet> pattern_category(std::string_view name);

}  // namespace skua
