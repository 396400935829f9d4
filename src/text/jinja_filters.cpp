#include "text/jinja_filters.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

namespace skua::jinja {
namespace {

const FilterTable& filters() {
  static const FilterTable kFilters = [] {
    FilterTable table;
    add_text_filters(table);
    add_number_filters(table);
    add_sequence_filters(table);
    add_selection_filters(table);
    table["tojson"] = to_json;
    return table;
  }();
  return kFilters;
}

/** Digits of a Python number: without white space, sign and '_' checked. */
std::optional<std::string> number_text(std::string_view text) {
  text = strip(text, nullptr, true, true);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto digit = [&](std::size_t at) {
      return at < text.size() &&
             std::isalnum(static_cast<unsigned char>(text[at]));
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  return out;
}

std::optional<double> parse_float(std::string_view text) {
  auto digits = number_text(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view rest = *digits;
  const bool negative = rest[0] == '-';
  if (rest[0] == '-' || rest[0] == '+') rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '-' || rest[0] == '+') return std::nullopt;
  double value = 0;
  const char* end = rest.data() + rest.size();
  const auto result = std::from_chars(rest.data(), end, value);
  if (result.ptr != end) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {
    value = rest.find("e-") != std::string_view::npos ? 0.0 : HUGE_VAL;
  } else if (result.ec != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::optional<Int> parse_int(std::string_view text, int base) {
  auto digits = number_text(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view rest = *digits;
  const bool negative = rest[0] == '-';
  if (rest[0] == '-' || rest[0] == '+') rest.remove_prefix(1);
  if (rest.size() > 2 && rest[0] == '0') {
    const char letter = static_cast<char>(rest[1] | 32);
    const int named = letter == 'x'   ? 16
                      : letter == 'o' ? 8
                      : letter == 'b' ? 2
                                      : 0;
    if (named != 0 && (base == named || base == 0)) {
      base = named;
      rest.remove_prefix(2);
    }
  }
  if (base == 0) base = 10;
  std::uint64_t value = 0;
  const char* end = rest.data() + rest.size();
  const auto result = std::from_chars(rest.data(), end, value, base);
  if (result.ptr != end || rest.empty()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {
    throw Failure{"int: the integer does not fit 64 bits"};
  }
  if (result.ec != std::errc()) return std::nullopt;
  return negative ? -Int{value} : Int{value};
}

std::optional<Int> truncated(double value) {
  if (std::isnan(value)) return std::nullopt;
  if (std::isinf(value)) {
    throw Failure{"cannot convert float infinity to integer"};
  }
  if (std::abs(value) > 1e30) throw Failure{"the integer is too large"};
  return static_cast<Int>(value);
}

Value to_int(Interpreter&, const Value& value, const Args& args) {
  const auto bound = bind(args, "int", {"default", "base"});
  const auto base = bound[1] ? index_of(*bound[1], "int") : 10;
  if (base != 0 && (base < 2 || base > 36)) {
    throw Failure{"int() base must be >= 2 and <= 36, or 0"};
  }
  std::optional<Int> result = value.integer();
  if (value.floating()) result = truncated(value.number());
  if (const auto* text = value.string()) {
    result = parse_int(text->text, static_cast<int>(base));
    if (!result) {
      if (const auto number = parse_float(text->text)) {
        result = truncated(*number);
      }
    }
  }
  if (result) return *result;
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  return bound[0] ? *bound[0] : Value(Int{0});
}

Value to_float(Interpreter&, const Value& value, const Args& args) {
  const auto bound = bind(args, "float", {"default"});
  if (value.is_number()) return value.number();
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  if (const auto* text = value.string()) {
    if (const auto number = parse_float(text->text)) return *number;
  }
  return bound[0] ? *bound[0] : Value(0.0);
}

Value absolute(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "abs", {});
  if (value.floating()) return std::abs(value.number());
  const auto integer = value.integer();
  if (!integer) {
    if (value.is_undefined()) throw Failure{value.undefined_message()};
    throw Failure{"bad operand type for abs(): '" + type_name(value) + "'"};
  }
  return *integer < 0 ? interpreter.binary("-", Int{0}, *integer)
                      : Value(*integer);
}

/** Python's round(): the nearest decimal, ties of the exact value to even. */
double round_half_even(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 300) return value;
  if (digits < -308) return std::copysign(0.0, value);
  if (digits >= 0) {
    char buffer[700];
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, value,
                      std::chars_format::fixed, static_cast<int>(digits));
    double result = value;
    std::from_chars(buffer, end.ptr, result);
    return result;
  }
  const double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / scale) * scale;
}

Value rounded(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "round", {"precision", "method"});
  const std::int64_t digits = bound[0] ? index_of(*bound[0], "round") : 0;
  const std::string method = bound[1] ? text_of(*bound[1], "round") : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    throw Failure{"method must be common, ceil or floor"};
  }
  if (!value.is_number()) {
    if (value.is_undefined()) throw Failure{value.undefined_message()};
    throw Failure{"type " + type_name(value) +
                  " doesn't define __round__ method"};
  }
  if (method == "common") {
    if (value.floating()) return round_half_even(value.number(), digits);
    if (digits >= 0) return *value.integer();
    if (digits < -30) return Int{0};
    Int scale = 1;
    for (std::int64_t i = 0; i < -digits; ++i) scale *= 10;
    Int down = *value.integer() / scale * scale;
    if (down > *value.integer()) down -= scale;
    const Int rest = *value.integer() - down;
    const bool up = 2 * rest > scale || (2 * rest == scale && down / scale % 2);
    return up ? down + scale : down;
  }
  const Value scale =
      interpreter.binary("**", Int{10}, static_cast<Int>(digits));
  const double scaled = interpreter.binary("*", value, scale).number();
  const double whole =
      method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  return whole / scale.number();
}

Value file_size(Interpreter& interpreter, const Value& value,
                const Args& args) {
  const auto bound = bind(args, "filesizeformat", {"binary"});
  const bool binary = bound[0] && interpreter.heap().truth(*bound[0]);
  const double base = binary ? 1024 : 1000;
  const double bytes = to_float(interpreter, value, {}).number();
  if (bytes == 1) return interpreter.heap().string("1 Byte");
  if (bytes < base) {
    return interpreter.heap().string(repr_int(truncated(bytes).value_or(0)) +
                                     " Bytes");
  }
  static constexpr std::string_view kLetters = "kMGTPEZY";
  double unit = base;
  std::size_t i = 0;
  while (i + 1 < kLetters.size() && bytes >= unit * base) {
    unit *= base;
    ++i;
  }
  char buffer[400];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, bytes / unit,
                                 std::chars_format::fixed, 1);
  const char letter = binary && i == 0 ? 'K' : kLetters[i];
  return interpreter.heap().string(std::string(buffer, end.ptr) + " " + letter +
                                   (binary ? "iB" : "B"));
}

Value with_default(Interpreter& interpreter, const Value& value,
                   const Args& args) {
  const auto bound = bind(args, "default", {"default_value", "boolean"});
  const bool boolean = bound[1] && interpreter.heap().truth(*bound[1]);
  if (value.is_undefined() || (boolean && !interpreter.heap().truth(value))) {
    return bound[0] ? *bound[0] : interpreter.heap().string("");
  }
  return value;
}

}  // namespace

bool is_known_filter(std::string_view name) {
  return filters().contains(name);
}

void add_number_filters(FilterTable& table) {
  table["abs"] = absolute;
  table["d"] = with_default;
  table["default"] = with_default;
  table["filesizeformat"] = file_size;
  table["float"] = to_float;
  table["int"] = to_int;
  table["round"] = rounded;
}

Value Interpreter::filter(std::string_view name, const Value& value,
                          const Args& args) {
  heap_.step();
  const auto found = filters().find(name);
  if (found == filters().end()) {
    throw Failure{"No filter named '" + std::string(name) + "' found."};
  }
  return found->second(*this, value, args);
}

}  // namespace skua::jinja
