#include <algorithm>

#include "text/jinja_methods.h"

namespace skua::jinja {
namespace {

const std::string& text(const Value& self) {
  return self.string()->text;
}

bool given(const Value* value) {
  return value && !value->is_none();
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

}  // namespace

void add_search_methods(MethodTable& table) {
  table["count"] = count;
  table["endswith"] = matches_end<false>;
  table["find"] = find<false, false>;
  table["index"] = find<false, true>;
  table["join"] = join;
  table["partition"] = [](Interpreter& interpreter, const Value& self,
                          const Args& args) {
    return partition(interpreter, self, args, false);
  };
  table["removeprefix"] = remove_affix<true>;
  table["removesuffix"] = remove_affix<false>;
  table["replace"] = replace;
  table["rfind"] = find<true, false>;
  table["rindex"] = find<true, true>;
  table["rpartition"] = [](Interpreter& interpreter, const Value& self,
                           const Args& args) {
    return partition(interpreter, self, args, true);
  };
  table["rsplit"] = [](Interpreter& interpreter, const Value& self,
                       const Args& args) {
    return split(interpreter, self, args, true);
  };
  table["split"] = [](Interpreter& interpreter, const Value& self,
                      const Args& args) {
    return split(interpreter, self, args, false);
  };
  table["splitlines"] = split_into_lines;
  table["startswith"] = matches_end<true>;
}

}  // namespace skua::jinja
