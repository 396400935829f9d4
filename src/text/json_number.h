#pragma once

#include <string>

#include "text/dfa.h"

namespace skua {

/** Languages of JSON numbers, written without an exponent. A language holds
 *  every such spelling of a value (1, 1.0, 1.00) or none, so that they can be
 *  joined, cut and inverted; -0 is a spelling of 0. A number is given as JSON
 *  text; with more than 100 digits it is refused with Unsupported. */
const Dfa& all_numbers();
const Dfa& integer_numbers();
/** One spelling of each value: no zeros behind a fraction, no -0. */
const Dfa& shortest_numbers();

Dfa numbers_equal(const std::string& value);
Dfa numbers_above(const std::string& bound, bool or_equal);
Dfa numbers_below(const std::string& bound, bool or_equal);
/** Throws InvalidInput unless `divisor` is above 0. */
Dfa numbers_multiple_of(const std::string& divisor);

}  // namespace skua
