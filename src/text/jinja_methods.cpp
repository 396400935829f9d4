#include <algorithm>
#include <array>
#include <map>

#include "text/jinja_eval.h"

namespace skua::jinja {
namespace {

using Method = Value (*)(Interpreter&, const Value&, const Args&);

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

/** The part of `self` that optional start and end positions choose, and its
 *  first character's index; none where start lies behind the end. */
struct Part {
  std::string_view text;
  std::size_t offset;  // bytes
  bool valid;
};

Part part_of(Heap& heap, const Value& self, const Value* start,
             const Value* end) {
  const std::string& all = text(self);
  if (!given(start) && !given(end)) return {all, 0, true};
  const auto size = static_cast<std::int64_t>(heap.length(self));
  const auto clamp = [&](const Value* value, std::int64_t fallback) {
    std::int64_t at = given(value) ? index_of(*value, "str") : fallback;
    if (at < 0) at = std::max<std::int64_t>(at + size, 0);
    return at;
  };
  const std::int64_t first = clamp(start, 0);
  const std::int64_t last = std::min(clamp(end, size), size);
  heap.work(all.size());
  if (first > last) return {{}, 0, false};
  const std::size_t begin = byte_offset(all, static_cast<std::size_t>(first));
  const std::size_t stop = byte_offset(all, static_cast<std::size_t>(last));
  return {std::string_view(all).substr(begin, stop - begin), begin, true};
}

template <bool kStarts>
Value matches_end(Interpreter& interpreter, const Value& self,
                  const Args& args) {
  const auto bound =
      bind(args, kStarts ? "startswith" : "endswith", {"", "", ""}, 1);
  const Part part = part_of(interpreter.heap(), self, bound[1], bound[2]);
  const auto matches = [&](const Value& affix) {
    const std::string& each =
        text_of(affix, kStarts ? "startswith" : "endswith");
    return kStarts ? part.text.starts_with(each) : part.text.ends_with(each);
  };
  if (!part.valid) return false;
  if (!bound[0]->is(SequenceKind::kTuple)) return matches(*bound[0]);
  const auto& affixes = bound[0]->sequence()->items;
  return std::any_of(affixes.begin(), affixes.end(), matches);
}

template <bool kPrefix>
Value remove_affix(Interpreter& interpreter, const Value& self,
                   const Args& args) {
  const auto bound = bind(args, "removeprefix", {""}, 1);
  const std::string& affix = text_of(*bound[0], "removeprefix");
  std::string_view all = text(self);
  if (kPrefix && all.starts_with(affix)) all.remove_prefix(affix.size());
  if (!kPrefix && all.ends_with(affix)) all.remove_suffix(affix.size());
  return interpreter.heap().string(std::string(all));
}

std::string reversed(std::string_view source) {
  return {source.rbegin(), source.rend()};
}

/** Character index of `needle`, or -1. */
Int find_index(Heap& heap, const Value& self, const Args& args, bool last) {
  const auto bound = bind(args, "find", {"", "", ""}, 1);
  const std::string& needle = text_of(*bound[0], "find");
  const Part part = part_of(heap, self, bound[1], bound[2]);
  heap.work(text(self).size());
  if (!part.valid) return -1;
  std::size_t found;
  if (last) {
    found = find_text(reversed(part.text), reversed(needle));
    if (found != std::string::npos) {
      found = part.text.size() - needle.size() - found;
    }
  } else {
    found = find_text(part.text, needle);
  }
  if (found == std::string::npos) return -1;
  return static_cast<Int>(
      char_count(std::string_view(text(self)).substr(0, part.offset + found)));
}

template <bool kLast, bool kThrows>
Value find(Interpreter& interpreter, const Value& self, const Args& args) {
  const Int index = find_index(interpreter.heap(), self, args, kLast);
  if (kThrows && index < 0) throw Failure{"substring not found"};
  return index;
}

Value count(Interpreter& interpreter, const Value& self, const Args& args) {
  const auto bound = bind(args, "count", {"", "", ""}, 1);
  const std::string& needle = text_of(*bound[0], "count");
  const Part part = part_of(interpreter.heap(), self, bound[1], bound[2]);
  interpreter.heap().work(part.text.size());
  if (!part.valid) return Int{0};
  if (needle.empty()) return static_cast<Int>(char_count(part.text)) + 1;
  Int times = 0;
  for (std::size_t at = find_text(part.text, needle); at != std::string::npos;
       at = find_text(part.text, needle, at + needle.size())) {
    ++times;
  }
  return times;
}

Value replace(Interpreter& interpreter, const Value& self, const Args& args) {
  const auto bound = bind(args, "replace", {"", "", ""}, 2);
  Heap& heap = interpreter.heap();
  heap.work(text(self).size());
  return heap.string(
      replace_text(heap, text(self), text_of(*bound[0], "replace"),
                   text_of(*bound[1], "replace"),
                   bound[2] ? index_of(*bound[2], "replace") : -1));
}

Value join(Interpreter& interpreter, const Value& self, const Args& args) {
  const auto bound = bind(args, "join", {""}, 1);
  Heap& heap = interpreter.heap();
  std::string out;
  std::size_t i = 0;
  for (const auto& item : heap.iterate(*bound[0])) {
    if (!item.string()) {
      throw Failure{"sequence item " + std::to_string(i) +
                    ": expected str instance, " + type_name(item) + " found"};
    }
    if (i++ > 0) heap.append(out, text(self));
    heap.append(out, text(item));
  }
  return heap.string(std::move(out));
}

Value partition(Interpreter& interpreter, const Value& self, const Args& args,
                bool last) {
  const auto bound = bind(args, "partition", {""}, 1);
  const std::string& separator = text_of(*bound[0], "partition");
  const std::string& all = text(self);
  Heap& heap = interpreter.heap();
  if (separator.empty()) throw Failure{"empty separator"};
  std::size_t at = last ? find_text(reversed(all), reversed(separator))
                        : find_text(all, separator);
  if (at == std::string::npos) {
    return last ? heap.tuple({heap.string(""), heap.string(""), self})
                : heap.tuple({self, heap.string(""), heap.string("")});
  }
  if (last) at = all.size() - separator.size() - at;
  return heap.tuple({heap.string(all.substr(0, at)), heap.string(separator),
                     heap.string(all.substr(at + separator.size()))});
}

/** Split at runs of white space, at most `limit` times from one side. */
std::vector<std::string_view> split_space(std::string_view all,
                                          std::int64_t limit, bool right) {
  std::vector<std::string_view> parts;
  for (;;) {
    all = strip(all, nullptr, !right, right);
    if (all.empty()) break;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(all);
      break;
    }
    std::size_t cut = right ? all.size() : 0;
    while (right ? cut > 0 : cut < all.size()) {
      std::size_t next = right ? previous_char(all, cut) : cut;
      std::size_t end = next;
      if (is_space(next_char(all, end))) break;
      cut = right ? next : end;
    }
    parts.push_back(right ? all.substr(cut) : all.substr(0, cut));
    all = right ? all.substr(0, cut) : all.substr(cut);
  }
  if (right) std::reverse(parts.begin(), parts.end());
  return parts;
}

Value split(Interpreter& interpreter, const Value& self, const Args& args,
            bool right) {
  const auto bound = bind(args, "split", {"sep", "maxsplit"});
  Heap& heap = interpreter.heap();
  const std::int64_t limit = bound[1] ? index_of(*bound[1], "split") : -1;
  const std::string& all = text(self);
  heap.work(all.size());
  std::vector<Value> items;
  if (!given(bound[0])) {
    for (const auto part : split_space(all, limit, right)) {
      items.push_back(heap.string(std::string(part)));
    }
    return heap.list(std::move(items));
  }
  std::string separator = text_of(*bound[0], "split");
  if (separator.empty()) throw Failure{"empty separator"};
  if (right) std::reverse(separator.begin(), separator.end());
  const std::string source = right ? reversed(all) : all;
  std::size_t begin = 0;
  const auto add = [&](std::string_view part) {
    items.push_back(heap.string(right ? reversed(part) : std::string(part)));
  };
  while (limit < 0 || static_cast<std::int64_t>(items.size()) < limit) {
    const std::size_t at = find_text(source, separator, begin);
    if (at == std::string::npos) break;
    add(std::string_view(source).substr(begin, at - begin));
    begin = at + separator.size();
  }
  add(std::string_view(source).substr(begin));
  if (right) std::reverse(items.begin(), items.end());
  return heap.list(std::move(items));
}

Value split_into_lines(Interpreter& interpreter, const Value& self,
                       const Args& args) {
  const auto bound = bind(args, "splitlines", {"keepends"});
  Heap& heap = interpreter.heap();
  heap.work(text(self).size());
  std::vector<Value> lines;
  for (const auto line :
       split_lines(text(self), bound[0] && heap.truth(*bound[0]))) {
    lines.push_back(heap.string(std::string(line)));
  }
  return heap.list(std::move(lines));
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

const std::map<std::string_view, Method>& methods() {
  static const std::map<std::string_view, Method> kMethods = {
      {"capitalize", changed<to_capitalized>},
      {"casefold", changed<to_lower>},
      {"center", pad<'c'>},
      {"count", count},
      {"endswith", matches_end<false>},
      {"expandtabs", expand_tabs},
      {"find", find<false, false>},
      {"format",
       [](Interpreter& interpreter, const Value& self, const Args& args) {
         return interpreter.heap().string(
             format_braces(interpreter, text(self), args));
       }},
      {"index", find<false, true>},
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
      {"join", join},
      {"ljust", pad<'l'>},
      {"lower", changed<to_lower>},
      {"lstrip", stripped<true, false>},
      {"partition",
       [](Interpreter& interpreter, const Value& self, const Args& args) {
         return partition(interpreter, self, args, false);
       }},
      {"removeprefix", remove_affix<true>},
      {"removesuffix", remove_affix<false>},
      {"replace", replace},
      {"rfind", find<true, false>},
      {"rindex", find<true, true>},
      {"rjust", pad<'r'>},
      {"rpartition",
       [](Interpreter& interpreter, const Value& self, const Args& args) {
         return partition(interpreter, self, args, true);
       }},
      {"rsplit",
       [](Interpreter& interpreter, const Value& self, const Args& args) {
         return split(interpreter, self, args, true);
       }},
      {"rstrip", stripped<false, true>},
      {"split",
       [](Interpreter& interpreter, const Value& self, const Args& args) {
         return split(interpreter, self, args, false);
       }},
      {"splitlines", split_into_lines},
      {"startswith", matches_end<true>},
      {"strip", stripped<true, true>},
      {"swapcase", changed<swap_case>},
      {"title", changed<title_case>},
      {"upper", changed<to_upper>},
      {"zfill", pad<'z'>},
  };
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
