#include "text/jinja_methods.h"

#include <algorithm>

namespace skua::jinja {
namespace {

const std::string& text(const Value& self) {
  return self.string()->text;
}

bool given(const Value* value) {
  return value && !value->is_none();
}

template <std::string (*kChange)(std::string_view)>
Value changed(Interpreter& interpreter, const Value& self, const Args& args) {
  bind(args, "str", {});
  return interpreter.heap().string(kChange(text(self)));
}

std::string swap_case(std::string_view source) {
  std::string out;
  for (std::size_t pos = 0; pos < source.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_char(source, pos);
    const auto one = source.substr(begin, pos - begin);
    out += is_upper(c) ? to_lower(one) : to_upper(one);
  }
  return out;
}

std::string title_case(std::string_view source) {
  std::string out;
  bool inside = false;
  for (std::size_t pos = 0; pos < source.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_char(source, pos);
    const auto one = source.substr(begin, pos - begin);
    out += inside ? to_lower(one) : to_capitalized(one);
    inside = is_alpha(c);
  }
  return out;
}

template <bool kLeft, bool kRight>
Value stripped(Interpreter& interpreter, const Value& self, const Args& args) {
  const auto bound = bind(args, "strip", {""});
  std::string_view chars;
  if (given(bound[0])) chars = text_of(*bound[0], "strip");
  return interpreter.heap().string(
      std::string(
          strip(text(self), given(bound[0]) ? &chars : nullptr, kLeft, kRight)),
      self.string()->markup);
}

/** Pads to a width; `left` of the padding, out of 2 halves, goes first. */
template <char kSide>
Value pad(Interpreter& interpreter, const Value& self, const Args& args) {
  const auto bound = bind(args, "ljust", {"", ""}, 1);
  Heap& heap = interpreter.heap();
  const std::int64_t width = index_of(*bound[0], "ljust");
  std::string fill = " ";
  if (bound[1]) fill = text_of(*bound[1], "ljust");
  if (kSide == 'z') fill = "0";
  if (char_count(fill) != 1) {
    throw Failure{"The fill character must be exactly one character long"};
  }
  const auto size = static_cast<std::int64_t>(heap.length(self));
  if (width <= size) return self;
  const auto missing = static_cast<std::size_t>(width - size);
  heap.reserve(missing);
  heap.reserve(missing * fill.size());
  heap.work(missing);
  std::size_t before = kSide == 'l' ? 0 : missing;
  if (kSide == 'c') {
    before = missing / 2 + (missing & static_cast<std::size_t>(width) & 1);
  }
  std::string_view rest = text(self);
  std::string out;
  if (kSide == 'z' && (rest.starts_with('-') || rest.starts_with('+'))) {
    out += rest[0];
    rest.remove_prefix(1);
  }
  for (std::size_t i = 0; i < before; ++i) out += fill;
  out += rest;
  for (std::size_t i = before; i < missing; ++i) out += fill;
  return heap.string(std::move(out));
}

template <bool (*kIs)(char32_t)>
Value all_are(Interpreter& interpreter, const Value& self, const Args& args) {
  bind(args, "str", {});
  interpreter.heap().work(text(self).size());
  for (std::size_t pos = 0; pos < text(self).size();) {
    if (!kIs(next_char(text(self), pos))) return false;
  }
  return !text(self).empty();
}

template <bool (*kIs)(char32_t), bool (*kIsNot)(char32_t)>
Value is_cased(Interpreter& interpreter, const Value& self, const Args& args) {
  bind(args, "str", {});
  interpreter.heap().work(text(self).size());
  bool any = false;
  for (std::size_t pos = 0; pos < text(self).size();) {
    const char32_t c = next_char(text(self), pos);
    if (kIsNot(c)) return false;
    any |= kIs(c);
  }
  return any;
}

bool is_alnum(char32_t c) {
  return is_alpha(c) || is_numeric(c);
}

Value is_title(Interpreter& interpreter, const Value& self, const Args& args) {
  bind(args, "istitle", {});
  return std::any_of(text(self).begin(), text(self).end(),
                     [](char c) { return c != ' '; }) &&
         title_case(text(self)) == text(self) &&
         to_lower(text(self)) != to_upper(text(self)) &&
         interpreter.heap().length(self) > 0;
}

Value is_ascii(Interpreter&, const Value& self, const Args& args) {
  bind(args, "isascii", {});
  return self.string()->ascii;
}

Value is_identifier(Interpreter&, const Value& self, const Args& args) {
  bind(args, "isidentifier", {});
  for (std::size_t pos = 0; pos < text(self).size();) {
    const bool first = pos == 0;
    const char32_t c = next_char(text(self), pos);
    if (c != '_' && !is_alpha(c) && (first || !is_decimal(c))) return false;
  }
  return !text(self).empty();
}

Value expand_tabs(Interpreter& interpreter, const Value& self,
                  const Args& args) {
  const auto bound = bind(args, "expandtabs", {"tabsize"});
  Heap& heap = interpreter.heap();
  const std::int64_t size = bound[0] ? index_of(*bound[0], "expandtabs") : 8;
  std::string out;
  std::size_t column = 0;
  for (std::size_t pos = 0; pos < text(self).size();) {
    const std::size_t begin = pos;
    const char32_t c = next_char(text(self), pos);
    if (c != '\t') {
      heap.append(out, std::string_view(text(self)).substr(begin, pos - begin));
      column = c == '\n' || c == '\r' ? 0 : column + 1;
      continue;
    }
    if (size <= 0) continue;
    const auto width = static_cast<std::size_t>(size);
    const std::size_t spaces = width - column % width;
    heap.reserve(spaces);
    heap.append(out, std::string(spaces, ' '));
    column += spaces;
  }
  return heap.string(std::move(out));
}

const MethodTable& methods() {
  static const MethodTable kMethods = [] {
    MethodTable table = {
        {"capitalize", changed<to_capitalized>},
        {"casefold", changed<to_lower>},
        {"center", pad<'c'>},
        {"expandtabs", expand_tabs},
        {"format",
         [](Interpreter& interpreter, const Value& self, const Args& args) {
           return interpreter.heap().string(
               format_braces(interpreter, text(self), args));
         }},
        {"isalnum", all_are<is_alnum>},
        {"isalpha", all_are<is_alpha>},
        {"isascii", is_ascii},
        {"isdecimal", all_are<is_decimal>},
        {"isdigit", all_are<is_digit>},
        {"isidentifier", is_identifier},
        {"islower", is_cased<is_lower, is_upper>},
        {"isnumeric", all_are<is_numeric>},
        {"isspace", all_are<is_space>},
        {"istitle", is_title},
        {"isupper", is_cased<is_upper, is_lower>},
        {"ljust", pad<'l'>},
        {"lower", changed<to_lower>},
        {"lstrip", stripped<true, false>},
        {"rjust", pad<'r'>},
        {"rstrip", stripped<false, true>},
        {"strip", stripped<true, true>},
        {"swapcase", changed<swap_case>},
        {"title", changed<title_case>},
        {"upper", changed<to_upper>},
        {"zfill", pad<'z'>},
    };
    add_search_methods(table);
    return table;
  }();
  return kMethods;
}

}  // namespace

bool is_string_method(std::string_view name) {
  return methods().contains(name);
}

Value call_string_method(Interpreter& interpreter, const Value& self,
                         std::string_view name, const Args& args) {
  interpreter.heap().work(text(self).size());
  return methods().find(name)->second(interpreter, self, args);
}

}  // namespace skua::jinja
