#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja_value.h"

namespace skua::jinja {

/** What stands between '%' or ':' and the type letter. */
struct FormatSpec {
  char32_t fill = ' ';
  char align = '\0';  // < > = ^
  char sign = '-';    // '-', '+', ' '
  bool alternate = false;
  char group = '\0';  // ',' or '_'
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = '\0';
};

/** The digits at `at`, which moves behind them; 0 where there are none. */
std::int64_t read_number(std::string_view text, std::size_t& at);

/** A number or text as Python shows it under `spec`. Throw Failure for what
 *  does not fit the heap's limits. */
std::string format_number(const Heap& heap, const FormatSpec& spec,
                          const Value& value);
std::string format_text(const Heap& heap, const FormatSpec& spec,
                        std::string_view text, char align);

}  // namespace skua::jinja
