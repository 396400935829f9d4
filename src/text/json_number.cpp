#include "text/json_number.h"

#include <algorithm>
#include <cstdlib>

#include "skua/error.h"
#include "text/pattern.h"

namespace skua {
namespace {

constexpr int kMaxDigits = 100;

// A number as its digits around the point, without zeros that mean nothing.
struct Decimal {
  bool negative = false;
  std::string whole;     // "0" at least
  std::string fraction;  // may be empty
  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

Decimal parse_decimal(const std::string& text) {
  Decimal result;
  std::string digits;
  long point = -1, exponent = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '-' && i == 0) {
      result.negative = true;
    } else if (c == '.') {
      point = static_cast<long>(digits.size());
    } else if (c == 'e' || c == 'E') {
      exponent = std::strtol(text.c_str() + i + 1, nullptr, 10);
      break;
    } else {
      digits += c;
    }
  }
  if (point < 0) point = static_cast<long>(digits.size());
  if (std::abs(exponent) > kMaxDigits || digits.size() > kMaxDigits)
    throw Unsupported("number", "more than " + std::to_string(kMaxDigits) +
                                    " digits in " + text);
  point += exponent;
  if (point < 0) digits.insert(0, -point, '0');
  point = std::max(point, 0L);
  if (digits.size() < static_cast<std::size_t>(point))
    digits.resize(point, '0');
  result.whole = digits.substr(0, point);
  result.whole.erase(
      0, std::min(result.whole.find_first_not_of('0'), result.whole.size()));
  if (result.whole.empty()) result.whole = "0";
  result.fraction = digits.substr(point);
  result.fraction.resize(result.fraction.find_last_not_of('0') + 1);
  if (result.is_zero()) result.negative = false;
  return result;
}

Dfa pattern(const std::string& text) {
  return compile_pattern(text, false, "number");
}

const Dfa& unsigned_numbers() {
  static const Dfa dfa = pattern("(0|[1-9][0-9]*)(\\.[0-9]+)?");
  return dfa;
}

std::string digits_above(char digit) {
  return std::string("[") + static_cast<char>(digit + 1) + "-9]";
}

// Unsigned numbers above d, or equal to it.
Dfa unsigned_above(const Decimal& d, bool or_equal) {
  const std::string any_fraction = "(\\.[0-9]+)?";
  const std::size_t n = d.whole.size();
  std::string text = "[1-9][0-9]{" + std::to_string(n) + ",}" + any_fraction;
  for (std::size_t i = 0; i < n; ++i)
    if (d.whole[i] != '9')
      text += "|" + d.whole.substr(0, i) + digits_above(d.whole[i]) + "[0-9]{" +
              std::to_string(n - i - 1) + "}" + any_fraction;
  const std::string same = "|" + d.whole;
  if (d.fraction.empty() && or_equal) text += same + any_fraction;
  if (d.fraction.empty() && !or_equal) text += same + "\\.0*[1-9][0-9]*";
  for (std::size_t i = 0; i < d.fraction.size(); ++i)
    if (d.fraction[i] != '9')
      text += same + "\\." + d.fraction.substr(0, i) +
              digits_above(d.fraction[i]) + "[0-9]*";
  if (!d.fraction.empty())
    text += same + "\\." + d.fraction + (or_equal ? "[0-9]*" : "0*[1-9][0-9]*");
  return pattern(text);
}

Dfa unsigned_below(const Decimal& d, bool or_equal) {
  return dfa_minus(unsigned_numbers(), unsigned_above(d, !or_equal));
}

// Numbers of `positive`, and those of `negative` behind a minus.
Dfa with_signs(const Dfa& positive, const Dfa& negative) {
  Dfa result = positive;
  if (result.empty()) result.states.emplace_back();
  if (negative.empty()) return dfa_reduce(result);
  const auto offset = static_cast<std::int32_t>(result.states.size());
  auto& start = result.states[0].edges;
  // The minus comes before all digits.
  start.insert(start.begin(), {{'-', '-'}, offset});
  for (auto state : negative.states) {
    for (auto& edge : state.edges) edge.target += offset;
    result.states.push_back(std::move(state));
  }
  return dfa_reduce(result);
}

}  // namespace

const Dfa& all_numbers() {
  static const Dfa dfa = pattern("-?(0|[1-9][0-9]*)(\\.[0-9]+)?");
  return dfa;
}

const Dfa& integer_numbers() {
  static const Dfa dfa = pattern("-?(0|[1-9][0-9]*)(\\.0+)?");
  return dfa;
}

const Dfa& shortest_numbers() {
  static const Dfa dfa =
      pattern("(0|-?[1-9][0-9]*)|-?(0|[1-9][0-9]*)\\.[0-9]*[1-9]");
  return dfa;
}

Dfa numbers_equal(const std::string& value) {
  const auto d = parse_decimal(value);
  const std::string sign = d.is_zero() ? "-?" : d.negative ? "-" : "";
  return pattern(sign + d.whole +
                 (d.fraction.empty() ? "(\\.0+)?" : "\\." + d.fraction + "0*"));
}

Dfa numbers_above(const std::string& bound, bool or_equal) {
  auto d = parse_decimal(bound);
  const bool below_zero = d.negative;
  d.negative = false;
  if (below_zero)
    return with_signs(unsigned_numbers(), unsigned_below(d, or_equal));
  if (d.is_zero() && or_equal)
    return with_signs(unsigned_numbers(), unsigned_below(d, true));
  return with_signs(unsigned_above(d, or_equal), {});
}

Dfa numbers_below(const std::string& bound, bool or_equal) {
  auto d = parse_decimal(bound);
  const bool below_zero = d.negative;
  d.negative = false;
  if (below_zero) return with_signs({}, unsigned_above(d, or_equal));
  if (d.is_zero() && !or_equal) return with_signs({}, unsigned_above(d, false));
  return with_signs(unsigned_below(d, or_equal), unsigned_numbers());
}

Dfa numbers_multiple_of(const std::string& divisor) {
  const auto d = parse_decimal(divisor);
  if (d.negative || d.is_zero())
    throw InvalidInput("multipleOf",
                       "it is " + divisor + ", expected a number above 0");
  // Multiples of p, when the point is moved k digits.
  const std::size_t k = d.fraction.size();
  const std::string scaled = d.whole + d.fraction;
  if (scaled.size() > 9)
    throw Unsupported("multipleOf", "more than 9 digits in " + divisor);
  const auto p = static_cast<std::int32_t>(std::stol(scaled));
  if (static_cast<std::size_t>(p) * (k + 2) > kMaxDfaStates)
    throw Unsupported("multipleOf", "an automaton too large for " + divisor);
  // A state is the digits' remainder in a layer: 0 before the point, 1 + j
  // behind it and j digits more. What is no number is taken out at the end.
  Dfa dfa;
  for (std::size_t layer = 0; layer < k + 2; ++layer) {
    const auto next_layer =
        static_cast<std::int32_t>(layer == 0 ? 0 : std::min(layer + 1, k + 1));
    for (std::int32_t r = 0; r < p; ++r) {
      std::int64_t value = r;
      for (std::size_t i = layer == 0 ? 0 : layer - 1; i < k; ++i)
        value = value * 10 % p;
      Dfa::State state{{}, value == 0};
      if (layer == 0) state.edges.push_back({{'-', '-'}, r});
      if (layer == 0) state.edges.push_back({{'.', '.'}, p + r});
      if (layer == k + 1) {
        // Digits behind all that count.
        state.edges.push_back({{'0', '0'}, next_layer * p + r});
      } else {
        for (std::int64_t digit = 0; digit < 10; ++digit) {
          const auto c = static_cast<char32_t>('0' + digit);
          const auto next = static_cast<std::int32_t>((r * 10LL + digit) % p);
          state.edges.push_back({{c, c}, next_layer * p + next});
        }
      }
      dfa.states.push_back(std::move(state));
    }
  }
  return dfa_and(dfa, all_numbers());
}

}  // namespace skua
