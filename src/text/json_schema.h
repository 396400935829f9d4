#pragma once

#include <cstdint>

#include "base/json.h"
#include "text/grammar_rules.h"
#include "text/value_spelling.h"

namespace skua {

/** Blanks at most at the start of a line of a JSON answer. */
constexpr std::int32_t kMaxJsonIndent = 32;

/** Digits at most before, and behind, the point of a number in one. */
constexpr int kMaxJsonDigits = 30;

/** Adds the rules of the JSON texts that are valid under `schema`, of draft 7
 *  where its `$schema` says so, else of 2020-12, and returns the first one.
 *
 *  Nothing invalid is ever allowed. Of what is valid one spelling is:
 *  properties come in the order in which `properties` declares them, then
 *  other required ones, then the rest; behind a comma, a colon or a bracket
 *  stands nothing, one blank, or a line end with at most kMaxJsonIndent
 *  blanks; names, and strings under `pattern`, `format` or `enum`, escape
 *  what must be escaped alone; integers have no fraction, numbers under a
 *  bound no exponent, others one of two digits.
 *
 *  Throws InvalidInput for a schema that is none, and Unsupported with the
 *  JSON pointer of a keyword that cannot be enforced. Keywords without a
 *  meaning in the dialect, and unknown formats, are annotations.
 *
 *  Another spelling than JSON's changes words, quotes and brackets; a property
 *  that has no such spelling is Unsupported, too. */
std::int32_t add_json_schema(GrammarRules& rules, const Json& schema,
                             const ValueSpelling& spelling = {});

}  // namespace skua
