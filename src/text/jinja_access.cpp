#include <algorithm>

#include "text/jinja_eval.h"
#include "text/jinja_objects.h"

namespace skua::jinja {
namespace {

/** Python's words for the value that lacks an attribute or item. */
std::string owner_name(const Value& value) {
  return value.is_none() ? "None" : type_name(value) + " object";
}

std::string no_attribute(const Value& value, std::string_view name) {
  return "'" + owner_name(value) + "' has no attribute '" + std::string(name) +
         "'";
}

/** value[key] where it exists; Failure becomes none, as in Jinja2. */
std::optional<Value> find_item(Heap& heap, const Value& value,
                               const Value& key) {
  if (const auto* dict = value.dict()) {
    if (key_weight(key) == 0) return std::nullopt;
    const Value* found = dict->find(key);
    return found ? std::optional<Value>(*found) : std::nullopt;
  }
  const auto position = key.integer();
  if (!position) return std::nullopt;
  if (const auto* text = value.string()) {
    const auto size = static_cast<Int>(heap.length(value));
    const Int at = *position < 0 ? *position + size : *position;
    if (at < 0 || at >= size) return std::nullopt;
    const auto index = static_cast<std::size_t>(at);
    if (text->ascii) return heap.string(std::string(1, text->text[index]));
    heap.work(text->text.size());
    const std::size_t begin = byte_offset(text->text, index);
    std::size_t end = begin;
    next_char(text->text, end);
    return heap.string(text->text.substr(begin, end - begin));
  }
  const auto* sequence = value.sequence();
  if (!sequence || sequence->kind > SequenceKind::kRange) return std::nullopt;
  const auto size = static_cast<Int>(sequence->items.size());
  const Int at = *position < 0 ? *position + size : *position;
  if (at < 0 || at >= size) return std::nullopt;
  return sequence->items[static_cast<std::size_t>(at)];
}

std::optional<Value> python_attribute(Interpreter& interpreter,
                                      const Value& value,
                                      std::string_view name) {
  if (auto* object = value.object())
    return object->attribute(interpreter, name);
  return find_method(interpreter.heap(), value, name);
}

struct SliceRange {
  std::int64_t start;
  std::int64_t step;
  std::size_t count;
};

SliceRange slice_range(const Value& start, const Value& stop, const Value& step,
                       std::size_t length) {
  const auto part = [](const Value& value, std::int64_t fallback) {
    if (value.is_none()) return fallback;
    if (!value.integer() && !value.is_undefined()) {
      throw Failure{
          "slice indices must be integers or None or have an "
          "__index__ method"};
    }
    return index_of(value, "slice");
  };
  const auto size = static_cast<std::int64_t>(length);
  const std::int64_t by = part(step, 1);
  if (by == 0) throw Failure{"slice step cannot be zero"};
  const std::int64_t low = by < 0 ? -1 : 0;
  const std::int64_t high = by < 0 ? size - 1 : size;
  const auto clamp = [&](const Value& value, std::int64_t fallback) {
    std::int64_t at = part(value, fallback);
    if (value.is_none()) return at;
    if (at < 0) at += size;
    return std::clamp(at, low, high);
  };
  const std::int64_t begin = clamp(start, by < 0 ? high : low);
  const std::int64_t end = clamp(stop, by < 0 ? low : high);
  std::int64_t count = 0;
  if (by > 0 && begin < end) count = (end - begin - 1) / by + 1;
  if (by < 0 && begin > end) count = (begin - end - 1) / -by + 1;
  return {begin, by, static_cast<std::size_t>(count)};
}

std::string slice_text(const StringData& data, const SliceRange& range) {
  const std::string& text = data.text;
  const auto first = static_cast<std::size_t>(range.start);
  if (range.count == 0) return "";
  if (data.ascii && range.step == 1) return text.substr(first, range.count);
  std::vector<std::size_t> starts;
  for (std::size_t pos = 0; pos < text.size();) {
    starts.push_back(pos);
    next_char(text, pos);
  }
  starts.push_back(text.size());
  if (range.step == 1) {
    return text.substr(starts[first],
                       starts[first + range.count] - starts[first]);
  }
  std::string out;
  for (std::size_t i = 0; i < range.count; ++i) {
    const auto at = static_cast<std::size_t>(
        range.start + static_cast<std::int64_t>(i) * range.step);
    out.append(text, starts[at], starts[at + 1] - starts[at]);
  }
  return out;
}

}  // namespace

Value Interpreter::attribute(const Value& value, std::string_view name) {
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  if (auto found = python_attribute(*this, value, name)) return *found;
  if (const auto* dict = value.dict()) {
    if (const Value* found = dict->find(name)) return *found;
  }
  if (name.starts_with("__")) {
    return heap_.undefined("access to attribute '" + std::string(name) +
                           "' of '" + type_name(value) + "' object is unsafe.");
  }
  return heap_.undefined(no_attribute(value, name));
}

Value Interpreter::item(const Value& value, const Value& key) {
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  if (auto found = find_item(heap_, value, key)) return *found;
  if (const auto* name = key.string()) {
    if (auto found = python_attribute(*this, value, name->text)) return *found;
    return heap_.undefined(no_attribute(value, name->text));
  }
  return heap_.undefined(owner_name(value) + " has no element " +
                         heap_.repr(key));
}

Value Interpreter::slice(const Value& value, const Value& start,
                         const Value& stop, const Value& step) {
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  const auto* sequence = value.sequence();
  if (!value.string() && (!sequence || sequence->kind > SequenceKind::kRange)) {
    if (value.dict()) throw Failure{"unhashable type: 'slice'"};
    throw Failure{"'" + type_name(value) + "' object is not subscriptable"};
  }
  const auto range = slice_range(start, stop, step, heap_.length(value));
  if (const auto* text = value.string()) {
    heap_.work(text->text.size());
    return heap_.string(slice_text(*text, range));
  }
  std::vector<Value> items;
  items.reserve(range.count);
  heap_.step(range.count);
  for (std::size_t i = 0; i < range.count; ++i) {
    const auto at = range.start + static_cast<std::int64_t>(i) * range.step;
    items.push_back(sequence->items[static_cast<std::size_t>(at)]);
  }
  return heap_.sequence(std::move(items), sequence->kind == SequenceKind::kTuple
                                              ? SequenceKind::kTuple
                                              : SequenceKind::kList);
}

}  // namespace skua::jinja
