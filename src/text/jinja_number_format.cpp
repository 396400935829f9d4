#include "text/jinja_number_format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace skua::jinja {
namespace {

constexpr std::int64_t kMaxPrecision = 300;

std::string pad_to(const Heap& heap, const FormatSpec& spec,
                   std::string_view sign, std::string_view body, char align) {
  const auto size = static_cast<std::int64_t>(sign.size() + char_count(body));
  const auto missing =
      static_cast<std::size_t>(std::max<std::int64_t>(spec.width - size, 0));
  heap.reserve(4 * missing + body.size());
  std::string fill;
  std::string out;
  append_char(fill, spec.fill);
  std::size_t before = align == '<' || align == '=' ? 0 : missing;
  if (align == '^') before = missing / 2;
  for (std::size_t i = 0; i < before; ++i) out += fill;
  out += sign;
  if (align == '=') {
    for (std::size_t i = 0; i < missing; ++i) out += fill;
    before = missing;
  }
  out += body;
  for (std::size_t i = before; i < missing; ++i) out += fill;
  return out;
}

void group_digits(std::string& digits, char mark, std::size_t size) {
  std::size_t end = 0;
  while (end < digits.size() &&
         std::isxdigit(static_cast<unsigned char>(digits[end]))) {
    ++end;
  }
  for (std::size_t at = end; at > size; at -= size) {
    digits.insert(at - size, 1, mark);
  }
}

std::string in_base(Int value, int base) {
  std::string out;
  do {
    out += "0123456789abcdef"[static_cast<int>(value % base)];
    value /= base;
  } while (value > 0);
  return {out.rbegin(), out.rend()};
}

std::string upper_if(std::string text, bool upper) {
  return upper ? to_upper(text) : text;
}

std::string general(double value, std::int64_t precision, bool alternate) {
  if (precision == 0) precision = 1;
  char buffer[800];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                           std::chars_format::scientific,
                           static_cast<int>(precision - 1));
  const std::string_view text(buffer,
                              static_cast<std::size_t>(end.ptr - buffer));
  int exponent = 0;
  const std::size_t e = text.find('e');
  const std::size_t digits = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + digits, text.data() + text.size(), exponent);
  std::string mantissa(text.substr(0, e));
  std::string tail(text.substr(e));
  if (exponent >= -4 && exponent < precision) {
    end = std::to_chars(buffer, buffer + sizeof buffer, value,
                        std::chars_format::fixed,
                        static_cast<int>(precision - 1 - exponent));
    mantissa.assign(buffer, end.ptr);
    tail.clear();
  }
  if (!alternate && mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  return mantissa + tail;
}

/** Digits of a non-negative float. */
std::string float_digits(double value, const FormatSpec& spec) {
  const char type = static_cast<char>(spec.type | 32);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return "inf";
  const std::int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  if (precision > kMaxPrecision) {
    throw Failure{"the precision of a format is too large"};
  }
  if (type == 'g') return general(value, precision, spec.alternate);
  char buffer[800];
  const auto end = std::to_chars(
      buffer, buffer + sizeof buffer, type == '%' ? value * 100 : value,
      type == 'e' ? std::chars_format::scientific : std::chars_format::fixed,
      static_cast<int>(precision));
  return std::string(buffer, end.ptr) + (spec.type == '%' ? "%" : "");
}

}  // namespace

std::int64_t read_number(std::string_view text, std::size_t& at) {
  std::int64_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + (text[at++] - '0');
    if (value > (1 << 30)) throw Failure{"the width of a format is too large"};
  }
  return value;
}

std::string format_number(const Heap& heap, const FormatSpec& spec,
                          const Value& value) {
  std::string sign;
  std::string body;
  const bool is_float =
      std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos &&
      spec.type != '\0';
  if (is_float || (spec.type == '\0' && value.floating())) {
    const double number = value.number();
    if (spec.type == '\0') {
      body = spec.precision < 0
                 ? repr_float(std::abs(number))
                 : general(std::abs(number), spec.precision, false);
    } else {
      body = float_digits(std::abs(number), spec);
    }
    if (std::signbit(number)) sign = "-";
  } else {
    const Int number = *value.integer();
    const char type = static_cast<char>(spec.type | 32);
    const int base = type == 'x' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    body = in_base(number < 0 ? -number : number, base);
    if (number < 0) sign = "-";
    if (spec.precision > 0) {
      heap.reserve(static_cast<std::size_t>(spec.precision));
      const auto digits = static_cast<std::size_t>(spec.precision);
      if (body.size() < digits) body.insert(0, digits - body.size(), '0');
    }
    if (spec.alternate && base != 10) sign += std::string("0") + spec.type;
  }
  if (spec.sign != '-' && !sign.starts_with('-')) {
    sign.insert(0, 1, spec.sign);
  }
  if (spec.group) {
    const char type = static_cast<char>(spec.type | 32);
    group_digits(body, spec.group,
                 type == 'x' || type == 'o' || type == 'b' ? 4 : 3);
  }
  body = upper_if(std::move(body), spec.type >= 'A' && spec.type <= 'Z');
  return pad_to(heap, spec, sign, body, spec.align ? spec.align : '>');
}

std::string format_text(const Heap& heap, const FormatSpec& spec,
                        std::string_view text, char align) {
  if (spec.precision >= 0) {
    text = text.substr(
        0, byte_offset(text, static_cast<std::size_t>(spec.precision)));
  }
  return pad_to(heap, spec, "", text, spec.align ? spec.align : align);
}

}  // namespace skua::jinja
