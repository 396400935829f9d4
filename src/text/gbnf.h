#pragma once

#include <string_view>

#include "text/grammar_rules.h"

namespace skua {

/** Reads a grammar in EBNF as llama.cpp's GBNF writes it: rules
 *  `name ::= ...` with "text", [classes], `.`, groups, `|`, `*`, `+`, `?`,
 *  `{m,n}` and # comments; the escapes \n \r \t \xHH \uHHHH \UHHHHHHHH and a
 *  backslash before punctuation. A rule goes on until the next one begins.
 *  Returns the rule `root`. Throws InvalidInput naming line and column of a
 *  mistake, or the rule that is missing. */
std::int32_t parse_gbnf(GrammarRules& rules, std::string_view text);

}  // namespace skua
