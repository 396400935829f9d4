#include <algorithm>
#include <charconv>

#include "text/jinja_filters.h"
#include "text/jinja_sort.h"

namespace skua::jinja {
namespace {

bool flag(Heap& heap, const Value* value, bool fallback = false) {
  return value ? heap.truth(*value) : fallback;
}

/** Keys to sort by: a list with one entry for each attribute in a
 *  comma-separated `attribute`. */
Value sort_key(Interpreter& interpreter, const Value& item,
               const Value* attribute, bool case_sensitive) {
  Heap& heap = interpreter.heap();
  std::vector<Value> keys;
  const auto add = [&](Value key) {
    keys.push_back(case_sensitive ? key : ignore_case(heap, key));
  };
  if (!attribute || attribute->is_none()) {
    add(item);
  } else if (const auto* names = attribute->string()) {
    std::size_t begin = 0;
    for (;;) {
      const std::size_t comma = names->text.find(',', begin);
      add(get_path(interpreter, item,
                   heap.string(names->text.substr(begin, comma - begin))));
      if (comma == std::string::npos) break;
      begin = comma + 1;
    }
  } else {
    add(get_path(interpreter, item, *attribute));
  }
  return heap.list(std::move(keys));
}

using Keyed = std::vector<std::pair<Value, Value>>;

/** Stable order by key; reversed as Python does it, ties in their order. */
void sort_by_key(Heap& heap, Keyed& items, bool reversed) {
  heap.step(items.size());
  merge_sort(items, [&](const auto& a, const auto& b) {
    return reversed ? heap.compare(b.first, a.first) < 0
                    : heap.compare(a.first, b.first) < 0;
  });
}

Value sort(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound =
      bind(args, "sort", {"reverse", "case_sensitive", "attribute"});
  Heap& heap = interpreter.heap();
  Keyed keyed;
  for (auto& item : heap.iterate(value)) {
    Value key = sort_key(interpreter, item, bound[2], flag(heap, bound[1]));
    keyed.emplace_back(std::move(key), std::move(item));
  }
  sort_by_key(heap, keyed, flag(heap, bound[0]));
  std::vector<Value> items;
  for (auto& [key, item] : keyed) items.push_back(std::move(item));
  return heap.list(std::move(items));
}

Value dict_sort(Interpreter& interpreter, const Value& value,
                const Args& args) {
  const auto bound =
      bind(args, "dictsort", {"case_sensitive", "by", "reverse"});
  Heap& heap = interpreter.heap();
  if (!value.dict()) {
    if (value.is_undefined()) throw Failure{value.undefined_message()};
    throw Failure{"'" + type_name(value) + " object' has no attribute 'items'"};
  }
  const std::string by = bound[1] ? text_of(*bound[1], "dictsort") : "key";
  if (by != "key" && by != "value") {
    throw Failure{"You can only sort by either \"key\" or \"value\""};
  }
  Keyed keyed;
  for (const auto& [key, item] : value.dict()->items) {
    const Value& each = by == "key" ? key : item;
    keyed.emplace_back(flag(heap, bound[0]) ? each : ignore_case(heap, each),
                       heap.tuple({key, item}));
  }
  sort_by_key(heap, keyed, flag(heap, bound[2]));
  std::vector<Value> pairs;
  for (auto& [key, pair] : keyed) pairs.push_back(std::move(pair));
  return heap.list(std::move(pairs));
}

Value unique(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "unique", {"case_sensitive", "attribute"});
  Heap& heap = interpreter.heap();
  const auto less = [](const Value& a, const Value& b) {
    return compare_keys(a, b) < 0;
  };
  std::map<Value, bool, decltype(less)> seen(less);
  std::vector<Value> items;
  for (auto& item : heap.iterate(value)) {
    Value key = bound[1] ? get_path(interpreter, item, *bound[1]) : item;
    if (!flag(heap, bound[0])) key = ignore_case(heap, key);
    compare_keys(key, key);
    if (seen.emplace(key, true).second) items.push_back(std::move(item));
  }
  return heap.generator(std::move(items));
}

template <int kSign>
Value extreme(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "min/max", {"case_sensitive", "attribute"});
  Heap& heap = interpreter.heap();
  std::optional<Value> best;
  Value best_key;
  for (auto& item : heap.iterate(value)) {
    Value key = bound[1] ? get_path(interpreter, item, *bound[1]) : item;
    if (!flag(heap, bound[0])) key = ignore_case(heap, key);
    if (best && heap.compare(key, best_key) * kSign <= 0) continue;
    best = std::move(item);
    best_key = std::move(key);
  }
  if (best) return *best;
  return heap.undefined("No aggregated item, sequence was empty.");
}

/** A pair of groupby, with its two names. */
Value group_by(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound =
      bind(args, "groupby", {"attribute", "default", "case_sensitive"}, 1);
  Heap& heap = interpreter.heap();
  const auto key_of = [&](const Value& item) {
    const Value key = get_path(interpreter, item, *bound[0], bound[1]);
    return flag(heap, bound[2]) ? key : ignore_case(heap, key);
  };
  Keyed keyed;
  for (auto& item : heap.iterate(value)) {
    Value key = key_of(item);
    keyed.emplace_back(std::move(key), std::move(item));
  }
  sort_by_key(heap, keyed, false);
  std::vector<Value> groups;
  for (std::size_t i = 0; i < keyed.size();) {
    std::vector<Value> group;
    const Value key = keyed[i].first;
    while (i < keyed.size() && heap.equal(keyed[i].first, key)) {
      group.push_back(keyed[i++].second);
    }
    Value shown = get_path(interpreter, group[0], *bound[0], bound[1]);
    groups.push_back(
        heap.tuple({std::move(shown), heap.list(std::move(group))}));
  }
  return heap.list(std::move(groups));
}

Args rest_of(const Args& args, std::size_t from) {
  Args rest;
  rest.positional.assign(
      args.positional.begin() + static_cast<std::ptrdiff_t>(from),
      args.positional.end());
  rest.named = args.named;
  return rest;
}

Value map(Interpreter& interpreter, const Value& value, const Args& args) {
  Heap& heap = interpreter.heap();
  std::vector<Value> items;
  if (args.positional.empty()) {
    const auto bound = bind(args, "map", {"attribute", "default"});
    if (!bound[0]) throw Failure{"map requires a filter argument"};
    const Value* fallback =
        bound[1] && !bound[1]->is_none() ? bound[1] : nullptr;
    for (auto& item : heap.iterate(value)) {
      items.push_back(get_path(interpreter, item, *bound[0], fallback));
    }
    return heap.generator(std::move(items));
  }
  const std::string name = text_of(args.positional[0], "map");
  const Args rest = rest_of(args, 1);
  for (auto& item : heap.iterate(value)) {
    items.push_back(interpreter.filter(name, item, rest));
  }
  return heap.generator(std::move(items));
}

template <bool kWanted, bool kByAttribute>
Value select(Interpreter& interpreter, const Value& value, const Args& args) {
  Heap& heap = interpreter.heap();
  constexpr std::size_t kSkip = kByAttribute ? 1 : 0;
  std::vector<Value> items;
  if (!heap.truth(value)) return heap.generator({});
  if (args.positional.size() < kSkip) {
    throw Failure{"Missing parameter for attribute name"};
  }
  const bool has_test = args.positional.size() > kSkip;
  const std::string name =
      has_test ? text_of(args.positional[kSkip], "select") : "";
  const Args rest = has_test ? rest_of(args, kSkip + 1) : Args{};
  for (auto& item : heap.iterate(value)) {
    const Value each =
        kByAttribute ? get_path(interpreter, item, args.positional[0]) : item;
    const bool holds =
        has_test ? interpreter.test(name, each, rest) : heap.truth(each);
    if (holds == kWanted) items.push_back(std::move(item));
  }
  return heap.generator(std::move(items));
}

}  // namespace

Value get_path(Interpreter& interpreter, Value item, const Value& attribute,
               const Value* fallback) {
  Heap& heap = interpreter.heap();
  const auto follow = [&](const Value& key) {
    item = interpreter.item(item, key);
    if (fallback && item.is_undefined()) item = *fallback;
  };
  if (attribute.is_none()) return item;
  if (!attribute.string()) {
    follow(attribute);
    return item;
  }
  const std::string& path = attribute.string()->text;
  for (std::size_t begin = 0;;) {
    const std::size_t dot = path.find('.', begin);
    const std::string part = path.substr(begin, dot - begin);
    std::uint32_t number = 0;
    const auto end = part.data() + part.size();
    const auto read = std::from_chars(part.data(), end, number);
    if (!part.empty() && read.ec == std::errc() && read.ptr == end) {
      follow(Int{number});
    } else {
      follow(heap.string(part));
    }
    if (dot == std::string::npos) return item;
    begin = dot + 1;
  }
}

Value ignore_case(Heap& heap, const Value& value) {
  const auto* text = value.string();
  return text ? heap.string(to_lower(text->text)) : value;
}

void add_selection_filters(FilterTable& table) {
  table["dictsort"] = dict_sort;
  table["groupby"] = group_by;
  table["map"] = map;
  table["max"] = extreme<1>;
  table["min"] = extreme<-1>;
  table["reject"] = select<false, false>;
  table["rejectattr"] = select<false, true>;
  table["select"] = select<true, false>;
  table["selectattr"] = select<true, true>;
  table["sort"] = sort;
  table["unique"] = unique;
}

}  // namespace skua::jinja
