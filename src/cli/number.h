#pragma once

#include <charconv>
#include <limits>
#include <string>
#include <type_traits>

#include "skua/error.h"

namespace skua::cli {

/** The number that the whole of `text` spells. Throws InvalidInput naming
 *  `where` if there is none or it does not fit. */
template <class Number>
Number parse_number(const std::string& where, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec == std::errc() && result.ptr == end) return value;
  std::string expected = "a number";
  if constexpr (std::is_integral_v<Number>) {
    using Limits = std::numeric_limits<Number>;
    expected = "a whole number from " + std::to_string(Limits::min()) + " to " +
               std::to_string(Limits::max());
  }
  throw InvalidInput(where, "is '" + text + "', expected " + expected);
}

}  // namespace skua::cli
