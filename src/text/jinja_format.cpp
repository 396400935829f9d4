#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja_eval.h"
#include "text/jinja_number_format.h"

namespace skua::jinja {
namespace {

/** One conversion of the % operator. */
class PercentFormat {
 public:
  PercentFormat(Heap& heap, std::string_view format, const Value& values)
      : heap_(heap), format_(format), values_(values) {}

  std::string run() {
    std::string out;
    while (at_ < format_.size()) {
      const std::size_t percent =
          std::min(format_.find('%', at_), format_.size());
      heap_.append(out, format_.substr(at_, percent - at_));
      at_ = percent + 1;
      if (percent < format_.size()) heap_.append(out, conversion());
    }
    const bool tuple = values_.is(SequenceKind::kTuple);
    const std::size_t given = tuple ? values_.sequence()->items.size() : 1;
    if (used_ < given && !values_.dict() && (tuple || !values_.sequence())) {
      throw Failure{"not all arguments converted during string formatting"};
    }
    return out;
  }

 private:
  Heap& heap_;
  std::string_view format_;
  const Value& values_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;

  char peek() const {
    if (at_ >= format_.size()) throw Failure{"incomplete format"};
    return format_[at_];
  }

  Value next_value() {
    const std::size_t index = used_++;
    if (!values_.is(SequenceKind::kTuple)) {
      if (index == 0) return values_;
    } else if (index < values_.sequence()->items.size()) {
      return values_.sequence()->items[index];
    }
    throw Failure{"not enough arguments for format string"};
  }

  Value named_value() {
    const std::size_t end = format_.find(')', at_);
    if (end == std::string_view::npos) throw Failure{"incomplete format key"};
    if (!values_.dict()) throw Failure{"format requires a mapping"};
    const auto name = format_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    const Value* found = values_.dict()->find(name);
    if (!found) throw Failure{"'" + std::string(name) + "'"};
    return *found;
  }

  std::int64_t number() {
    if (peek() != '*') return read_number(format_, at_);
    ++at_;
    const std::int64_t value = index_of(next_value(), "%");
    if (value > (1 << 30) || value < -(1 << 30)) {
      throw Failure{"the width of a format is too large"};
    }
    return value;
  }

  std::string conversion() {
    FormatSpec spec;
    std::optional<Value> value;
    if (peek() == '(') value = named_value();
    bool left = false;
    bool zero = false;
    for (;; ++at_) {
      const char flag = peek();
      if (flag == '-')
        left = true;
      else if (flag == '0')
        zero = true;
      else if (flag == '#')
        spec.alternate = true;
      else if (flag == '+')
        spec.sign = '+';
      else if (flag == ' ' && spec.sign == '-')
        spec.sign = ' ';
      else if (flag != ' ')
        break;
    }
    spec.width = number();
    if (spec.width < 0) {
      left = true;
      spec.width = -spec.width;
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<std::int64_t>(number(), 0);
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    spec.type = peek();
    ++at_;
    if (spec.type == '%') return "%";
    if (!value) value = next_value();
    spec.align = left ? '<' : '>';
    if (zero && !left) {
      spec.fill = '0';
      spec.align = '=';
    }
    return converted(spec, *value);
  }

  std::string converted(FormatSpec spec, const Value& value) {
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      spec.fill = ' ';
      if (spec.align == '=') spec.align = '>';
      return format_text(
          heap_, spec, spec.type == 's' ? heap_.str(value) : heap_.repr(value),
          '>');
    }
    if (spec.type == 'c') {
      if (const auto* text = value.string()) {
        if (char_count(text->text) == 1) {
          return format_text(heap_, spec, text->text, '>');
        }
      } else if (const auto code = value.integer();
                 code && *code >= 0 && *code < 0x110000 &&
                 (*code < 0xD800 || *code > 0xDFFF)) {
        std::string text;
        append_char(text, static_cast<char32_t>(*code));
        return format_text(heap_, spec, text, '>');
      }
      throw Failure{"%c requires int or char"};
    }
    static constexpr std::string_view kTypes = "diuoxXeEfFgG";
    if (kTypes.find(spec.type) == std::string_view::npos) {
      throw Failure{"unsupported format character '" +
                    std::string(1, spec.type) + "'"};
    }
    const bool integral = kTypes.find(spec.type) < 6;
    if (!value.is_number() ||
        (integral && kTypes.find(spec.type) > 2 && value.floating())) {
      throw Failure{std::string("%") + spec.type +
                    " format: a real number is required, not " +
                    type_name(value)};
    }
    if (integral && value.floating()) {
      if (!(std::abs(value.number()) < 1e30)) {
        throw Failure{"the integer is too large"};
      }
      return format_number(heap_, spec, static_cast<Int>(value.number()));
    }
    return format_number(heap_, spec, value);
  }
};

FormatSpec parse_spec(std::string_view text) {
  FormatSpec spec;
  std::size_t at = 0;
  std::size_t after_fill = 0;
  const auto is_align = [&](std::size_t i) {
    return i < text.size() && (text[i] == '<' || text[i] == '>' ||
                               text[i] == '=' || text[i] == '^');
  };
  if (!text.empty()) {
    const char32_t fill = next_char(text, after_fill);
    if (is_align(after_fill)) {
      spec.fill = fill;
      spec.align = text[after_fill];
      at = after_fill + 1;
    } else if (is_align(0)) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto take = [&](std::string_view any) {
    return at < text.size() && any.find(text[at]) != std::string_view::npos
               ? text[at++]
               : '\0';
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  spec.alternate = take("#") != '\0';
  if (take("0") && !spec.align) {
    spec.fill = '0';
    spec.align = '=';
  }
  spec.width = read_number(text, at);
  spec.group = take(",_");
  if (take(".")) spec.precision = read_number(text, at);
  spec.type = take("bcdeEfFgGnosxX%");
  if (at != text.size()) throw Failure{"Invalid format specifier"};
  return spec;
}

std::string format_value(Heap& heap, const Value& value,
                         std::string_view text) {
  static constexpr std::string_view kIntegral = "bcoxX";
  if (text.empty()) return heap.str(value);
  FormatSpec spec = parse_spec(text);
  if (value.is_number() && !(value.boolean() && spec.type == '\0')) {
    if (spec.type == 'd' || spec.type == 'n') {
      if (value.floating()) {
        throw Failure{"Unknown format code 'd' for object of type 'float'"};
      }
      spec.type = '\0';
    }
    const bool integral =
        spec.type == '\0' ? !value.floating()
                          : kIntegral.find(spec.type) != std::string_view::npos;
    if (integral && spec.precision >= 0) {
      throw Failure{"Precision not allowed in integer format specifier"};
    }
    if (spec.type == 's') {
      throw Failure{"Unknown format code 's' for object of type '" +
                    type_name(value) + "'"};
    }
    return format_number(heap, spec, value);
  }
  if (!value.string() && !value.boolean()) {
    throw Failure{"unsupported format string passed to " + type_name(value) +
                  ".__format__"};
  }
  if (spec.type != 's' && spec.type != '\0') {
    throw Failure{std::string("Unknown format code '") + spec.type +
                  "' for object of type 'str'"};
  }
  return format_text(heap, spec, heap.str(value), '<');
}

/** str.format: fields {name.attr[item]!r:spec}. */
class BraceFormat {
 public:
  BraceFormat(Interpreter& interpreter, const Args& args)
      : interpreter_(interpreter), args_(args) {}

  std::string run(std::string_view format, int level = 0) {
    Heap& heap = interpreter_.heap();
    std::string out;
    for (std::size_t at = 0; at < format.size();) {
      const char c = format[at];
      if (c != '{' && c != '}') {
        const std::size_t end =
            std::min(format.find_first_of("{}", at), format.size());
        heap.append(out, format.substr(at, end - at));
        at = end;
      } else if (at + 1 < format.size() && format[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        throw Failure{"Single '}' encountered in format string"};
      } else {
        const std::size_t end = field_end(format, at);
        heap.append(out, field(format.substr(at + 1, end - at - 1), level));
        at = end + 1;
      }
    }
    return out;
  }

 private:
  Interpreter& interpreter_;
  const Args& args_;
  std::size_t next_ = 0;

  static std::size_t field_end(std::string_view format, std::size_t at) {
    int open = 0;
    for (; at < format.size(); ++at) {
      if (format[at] == '{') ++open;
      if (format[at] == '}' && --open == 0) return at;
    }
    throw Failure{"expected '}' before end of string"};
  }

  std::string field(std::string_view text, int level) {
    if (level > 1) throw Failure{"Max string recursion exceeded"};
    Heap& heap = interpreter_.heap();
    heap.step();
    const std::size_t mark = std::min(text.find_first_of("!:"), text.size());
    Value value = lookup(text.substr(0, mark));
    std::string_view rest = text.substr(mark);
    if (rest.starts_with('!') && rest.size() > 1) {
      value = heap.string(rest[1] == 'r' ? heap.repr(value) : heap.str(value));
      rest.remove_prefix(2);
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    return format_value(heap, value, run(rest, level + 1));
  }

  Value lookup(std::string_view path) {
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = root(path.substr(0, end));
    path.remove_prefix(end);
    while (!path.empty()) {
      const bool dot = path[0] == '.';
      const std::size_t stop =
          dot ? std::min(path.find_first_of(".[", 1), path.size())
              : path.find(']');
      if (stop == std::string_view::npos) {
        throw Failure{"Missing ']' in format string"};
      }
      const std::string key(path.substr(1, stop - 1));
      std::int64_t number = 0;
      const auto read =
          std::from_chars(key.data(), key.data() + key.size(), number);
      if (dot) {
        value = interpreter_.attribute(value, key);
      } else if (!key.empty() && read.ptr == key.data() + key.size()) {
        value = interpreter_.item(value, Int{number});
      } else {
        value = interpreter_.item(value, interpreter_.heap().string(key));
      }
      if (value.is_undefined()) throw Failure{value.undefined_message()};
      path.remove_prefix(stop + (dot ? 0 : 1));
    }
    return value;
  }

  Value root(std::string_view name) {
    std::size_t index = 0;
    const auto read =
        std::from_chars(name.data(), name.data() + name.size(), index);
    if (name.empty()) {
      index = next_++;
    } else if (read.ec != std::errc() ||
               read.ptr != name.data() + name.size()) {
      for (const auto& [each, value] : args_.named) {
        if (each == name) return value;
      }
      throw Failure{"'" + std::string(name) + "'"};
    }
    if (index >= args_.positional.size()) {
      throw Failure{"Replacement index " + std::to_string(index) +
                    " out of range for positional args tuple"};
    }
    return args_.positional[index];
  }
};

}  // namespace

std::string format_percent(Heap& heap, std::string_view format,
                           const Value& values) {
  return PercentFormat(heap, format, values).run();
}

std::string format_braces(Interpreter& interpreter, std::string_view format,
                          const Args& args) {
  return BraceFormat(interpreter, args).run(format);
}

}  // namespace skua::jinja
