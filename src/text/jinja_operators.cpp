#include <algorithm>
#include <cmath>
#include <cstring>

#include "text/jinja_eval.h"

namespace skua::jinja {
namespace {

constexpr Int kMaxInt = Int{1} << 100;

Int checked(Int value) {
  if (value > kMaxInt || value < -kMaxInt) {
    throw Failure{"the integer is too large"};
  }
  return value;
}

Int floor_divide(Int a, Int b) {
  const Int quotient = a / b;
  return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Int multiply(Int a, Int b) {
  const double size =
      std::abs(static_cast<double>(a)) * std::abs(static_cast<double>(b));
  if (size > 1e30) throw Failure{"the integer is too large"};
  return checked(a * b);
}

Value power(const Value& a, const Value& b) {
  const auto base = a.integer();
  const auto exponent = b.integer();
  if (base && exponent && *exponent >= 0) {
    if (*exponent > 200 && *base != 0 && *base != 1 && *base != -1) {
      throw Failure{"the integer is too large"};
    }
    Int result = 1;
    const int count =
        static_cast<int>(*exponent > 200 ? *exponent % 2 + 2 : *exponent);
    for (int i = 0; i < count; ++i) result = multiply(result, *base);
    return result;
  }
  const double result = std::pow(a.number(), b.number());
  if (a.number() == 0 && b.number() < 0) {
    throw Failure{"0.0 cannot be raised to a negative power"};
  }
  if (std::isnan(result) && !std::isnan(a.number()) &&
      !std::isnan(b.number())) {
    throw Failure{"complex numbers are not supported"};
  }
  if (std::isinf(result) && std::isfinite(a.number()) &&
      std::isfinite(b.number())) {
    throw Failure{"Numerical result out of range"};
  }
  return result;
}

Value float_arithmetic(char op, bool floors, double a, double b) {
  if (op == '+') return a + b;
  if (op == '-') return a - b;
  if (op == '*') return a * b;
  if (b == 0) {
    throw Failure{op == '/' && !floors ? "float division by zero"
                                       : "float floor division by zero"};
  }
  if (op == '/' && !floors) return a / b;
  double rest = std::fmod(a, b);
  if (rest != 0 && (b < 0) != (rest < 0)) rest += b;
  if (rest == 0) rest = std::copysign(0.0, b);
  if (op == '%') return rest;
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value arithmetic(std::string_view op, const Value& a, const Value& b) {
  if (op == "**") return power(a, b);
  const auto x = a.integer();
  const auto y = b.integer();
  if (!x || !y) {
    return float_arithmetic(op[0], op.size() == 2, a.number(), b.number());
  }
  if (op == "+") return checked(*x + *y);
  if (op == "-") return checked(*x - *y);
  if (op == "*") return multiply(*x, *y);
  if (*y == 0) {
    throw Failure{op == "/" ? "division by zero"
                            : "integer division or modulo by zero"};
  }
  if (op == "/") return static_cast<double>(*x) / static_cast<double>(*y);
  if (op == "//") return floor_divide(*x, *y);
  return *x - floor_divide(*x, *y) * *y;
}

bool is_plain_sequence(const Value& value) {
  return value.is(SequenceKind::kList) || value.is(SequenceKind::kTuple);
}

Value repeat(Heap& heap, const Value& value, const Value& times) {
  const auto count =
      static_cast<std::size_t>(std::max<std::int64_t>(index_of(times, "*"), 0));
  const std::size_t size = value.string()
                               ? value.string()->text.size()
                               : value.sequence()->items.size() * sizeof(Value);
  if (size > 0) {
    if (count > heap.limits().max_memory_bytes / size) {
      heap.reserve(heap.limits().max_memory_bytes + 1);
    }
    heap.reserve(count * size);
  }
  const std::size_t rounds = size > 0 ? count : 0;
  if (const auto* text = value.string()) {
    std::string out;
    out.reserve(rounds * size);
    for (std::size_t i = 0; i < rounds; ++i) out += text->text;
    return heap.string(std::move(out));
  }
  std::vector<Value> items;
  const auto& once = value.sequence()->items;
  heap.step(rounds * once.size());
  for (std::size_t i = 0; i < rounds; ++i) {
    items.insert(items.end(), once.begin(), once.end());
  }
  return heap.sequence(std::move(items), value.sequence()->kind);
}

Value concatenate(Heap& heap, const Value& a, const Value& b) {
  if (a.string() && b.string()) {
    const bool markup = a.string()->markup || b.string()->markup;
    heap.reserve(a.string()->text.size() + b.string()->text.size());
    const auto part = [&](const StringData& data) {
      return markup && !data.markup ? escape_html(data.text) : data.text;
    };
    return heap.string(part(*a.string()) + part(*b.string()), markup);
  }
  auto items = heap.iterate(a);
  for (auto& item : heap.iterate(b)) items.push_back(std::move(item));
  return heap.sequence(std::move(items), a.sequence()->kind);
}

std::string operand_error(std::string_view op, const Value& a, const Value& b) {
  if (op == "+" && (a.string() || is_plain_sequence(a))) {
    return "can only concatenate " + type_name(a) + " (not \"" + type_name(b) +
           "\") to " + type_name(a);
  }
  return "unsupported operand type(s) for " + std::string(op) + ": '" +
         type_name(a) + "' and '" + type_name(b) + "'";
}

}  // namespace

Value Interpreter::binary(std::string_view op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == "%" && a.string()) {
    return heap_.string(format_percent(heap_, a.string()->text, b),
                        a.string()->markup);
  }
  for (const auto* value : {&a, &b}) {
    if (value->is_undefined()) throw Failure{value->undefined_message()};
  }
  if (op == "+" && ((a.string() && b.string()) ||
                    (is_plain_sequence(a) && is_plain_sequence(b) &&
                     a.sequence()->kind == b.sequence()->kind))) {
    return concatenate(heap_, a, b);
  }
  if (op == "*") {
    const auto repeats = [](const Value& value) {
      return value.string() || is_plain_sequence(value);
    };
    if (repeats(a) && b.integer()) return repeat(heap_, a, b);
    if (repeats(b) && a.integer()) return repeat(heap_, b, a);
  }
  throw Failure{operand_error(op, a, b)};
}

bool Interpreter::contains(const Value& item, const Value& container) {
  if (const auto* text = container.string()) {
    if (item.is_undefined()) throw Failure{item.undefined_message()};
    if (!item.string()) {
      throw Failure{"'in <string>' requires string as left operand, not " +
                    type_name(item)};
    }
    heap_.work(text->text.size());
    return find_text(text->text, item.string()->text) != std::string::npos;
  }
  if (const auto* dict = container.dict()) return dict->find(item) != nullptr;
  if (container.is_undefined()) return false;
  auto* sequence = container.sequence();
  if (!sequence) {
    throw Failure{"argument of type '" + type_name(container) +
                  "' is not iterable"};
  }
  auto& items = sequence->items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].same_as(item) && !heap_.equal(items[i], item)) continue;
    if (sequence->kind == SequenceKind::kGenerator) {
      items.erase(items.begin(), items.begin() + static_cast<long>(i) + 1);
    }
    return true;
  }
  if (sequence->kind == SequenceKind::kGenerator) items.clear();
  return false;
}

std::size_t find_text(std::string_view text, std::string_view needle,
                      std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from,
                             needle.data(), needle.size());
  if (!found) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) -
                                  text.data());
}

std::string replace_text(const Heap& heap, std::string_view text,
                         std::string_view from, std::string_view to,
                         std::int64_t limit) {
  std::string out;
  std::size_t pos = 0;
  for (std::int64_t n = 0; limit < 0 || n < limit; ++n) {
    if (from.empty()) {
      heap.append(out, to);
      if (pos >= text.size()) return out;
      const std::size_t begin = pos;
      next_char(text, pos);
      heap.append(out, text.substr(begin, pos - begin));
      continue;
    }
    const std::size_t found = find_text(text, from, pos);
    if (found == std::string_view::npos) break;
    heap.append(out, text.substr(pos, found - pos));
    heap.append(out, to);
    pos = found + from.size();
  }
  heap.append(out, text.substr(pos));
  return out;
}

}  // namespace skua::jinja
