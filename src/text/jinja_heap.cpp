#include <algorithm>

#include "text/jinja_sort.h"
#include "text/jinja_value.h"

namespace skua::jinja {
namespace {

constexpr std::uint32_t kMaxValueDepth = 200;

bool all_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
}

}  // namespace

Heap::~Heap() {
  for (auto& object : kept_) object->clear();
}

void Heap::step(std::size_t count) {
  steps_ += count;
  if (steps_ > limits_.max_steps) {
    throw Failure{"the template takes too many steps, expected at most " +
                  std::to_string(limits_.max_steps) + " (max_steps)"};
  }
}

void Heap::reserve(std::size_t bytes) const {
  if (bytes > limits_.max_memory_bytes ||
      live_ > limits_.max_memory_bytes - bytes) {
    throw Failure{
        "the template's values take too much memory, expected at "
        "most " +
        std::to_string(limits_.max_memory_bytes) + " bytes (max_memory_bytes)"};
  }
}

void Heap::append(std::string& out, std::string_view text) const {
  reserve(out.size() + text.size());
  out += text;
}

void Heap::track(Tracked& tracked, std::size_t bytes) {
  work(bytes);
  reserve(bytes);
  live_ += bytes;
  tracked.account = &live_;
  tracked.bytes = bytes;
}

std::uint32_t Heap::nested(std::uint32_t depth) const {
  if (depth >= kMaxValueDepth) {
    throw Failure{"values are nested too deep, expected at most " +
                  std::to_string(kMaxValueDepth) + " levels"};
  }
  return depth + 1;
}

Value Heap::string(std::string text, bool markup) {
  auto data = std::make_shared<StringData>();
  track(*data, sizeof *data + text.size());
  data->ascii = all_ascii(text);
  data->text = std::move(text);
  data->markup = markup;
  return StringPtr(std::move(data));
}

Value Heap::sequence(std::vector<Value> items, SequenceKind kind) {
  auto data = std::make_shared<SequenceData>();
  track(*data, sizeof *data + items.size() * sizeof(Value));
  std::uint32_t depth = 0;
  for (const auto& item : items) depth = std::max(depth, item.depth());
  data->depth = nested(depth);
  data->kind = kind;
  if (kind == SequenceKind::kTuple || kind == SequenceKind::kRange) {
    std::uint32_t weight = 1;
    for (const auto& item : items) {
      const std::uint32_t inner = key_weight(item);
      weight = inner ? std::min(weight + inner, kMaxKeyWeight + 1) : 0;
      if (weight == 0) break;
    }
    data->key_weight = weight;
  }
  data->items = std::move(items);
  return SequencePtr(std::move(data));
}

Value Heap::dict(Pairs items) {
  auto data = std::make_shared<DictData>();
  track(*data, sizeof *data + items.size() * (sizeof items[0] + 4));
  std::vector<std::uint32_t> order(items.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  if (!items.empty()) compare_keys(items[0].first, items[0].first);
  merge_sort(order, [&](auto i, auto j) {
    return compare_keys(items[i].first, items[j].first) < 0;
  });
  std::vector<bool> dropped(items.size());
  std::size_t first = 0;
  bool any_dropped = false;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (compare_keys(items[order[first]].first, items[order[i]].first) == 0) {
      items[order[first]].second = items[order[i]].second;
      dropped[order[i]] = any_dropped = true;
    } else {
      first = i;
    }
  }
  if (any_dropped) {
    Pairs unique;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!dropped[i]) unique.push_back(std::move(items[i]));
    }
    return dict(std::move(unique));
  }
  std::uint32_t depth = 0;
  for (const auto& [key, value] : items) {
    depth = std::max({depth, key.depth(), value.depth()});
  }
  data->depth = nested(depth);
  data->items = std::move(items);
  data->order = std::move(order);
  return DictPtr(std::move(data));
}

Value Heap::undefined(std::string message) {
  step();
  return UndefinedPtr(
      std::make_shared<UndefinedData>(UndefinedData{std::move(message)}));
}

Value Heap::object(ObjectPtr object, std::size_t bytes) {
  nested(object->depth());
  track(*object, 256 + bytes);
  return object;
}

Value Heap::json(const Json& value, int depth) {
  if (depth >= static_cast<int>(kMaxValueDepth)) nested(kMaxValueDepth);
  switch (value.type()) {
    case Json::value_t::boolean:
      return value.get<bool>();
    case Json::value_t::number_integer:
      return Int{value.get<std::int64_t>()};
    case Json::value_t::number_unsigned:
      return Int{value.get<std::uint64_t>()};
    case Json::value_t::number_float:
      return value.get<double>();
    case Json::value_t::string:
      return string(value.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(value.size());
      for (const auto& item : value) items.push_back(json(item, depth + 1));
      return list(std::move(items));
    }
    case Json::value_t::object: {
      Pairs items;
      items.reserve(value.size());
      for (const auto& [key, item] : value.items()) {
        items.emplace_back(string(key), json(item, depth + 1));
      }
      return dict(std::move(items));
    }
    default:
      return {};
  }
}

std::vector<Value> Heap::iterate(const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (auto* sequence = value.sequence()) {
    step(sequence->items.size());
    if (sequence->kind == SequenceKind::kGenerator) {
      return std::exchange(sequence->items, {});
    }
    reserve(sequence->items.size() * sizeof(Value));
    return sequence->items;
  }
  if (const auto* dict = value.dict()) {
    step(dict->items.size());
    for (const auto& item : dict->items) items.push_back(item.first);
    return items;
  }
  if (const auto* text = value.string()) {
    for (std::size_t pos = 0; pos < text->text.size();) {
      const std::size_t begin = pos;
      next_char(text->text, pos);
      items.push_back(string(text->text.substr(begin, pos - begin)));
    }
    return items;
  }
  throw Failure{"'" + type_name(value) + "' object is not iterable"};
}

std::size_t Heap::length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (const auto* text = value.string()) {
    if (text->ascii) return text->text.size();
    work(text->text.size());
    return char_count(text->text);
  }
  if (const auto* dict = value.dict()) return dict->items.size();
  const auto* sequence = value.sequence();
  if (sequence && sequence->kind != SequenceKind::kGenerator) {
    return sequence->items.size();
  }
  throw Failure{"object of type '" + type_name(value) + "' has no len()"};
}

Value constant_string(std::string text) {
  auto data = std::make_shared<StringData>();
  data->ascii = all_ascii(text);
  data->text = std::move(text);
  return StringPtr(std::move(data));
}

}  // namespace skua::jinja
