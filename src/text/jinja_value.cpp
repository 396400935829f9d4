#include "text/jinja_value.h"

#include <algorithm>

namespace skua::jinja {
namespace {

int key_rank(const Value& value) {
  if (value.is_none()) return 0;
  if (value.is_number()) return 1;
  if (value.string()) return 2;
  if (value.is(SequenceKind::kTuple)) return 3;
  return value.is_undefined() ? 4 : 5;
}

template <typename T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int compare_numbers(const Value& a, const Value& b) {
  const auto x = a.integer();
  const auto y = b.integer();
  return x && y ? three_way(*x, *y) : three_way(a.number(), b.number());
}

}  // namespace

std::string Object::repr() const {
  return "<" + type_name() + " object>";
}

std::optional<Value> Object::attribute(Interpreter&, std::string_view) {
  return std::nullopt;
}

Value Object::call(Interpreter&, const Args&) {
  throw Failure{"'" + type_name() + "' object is not callable"};
}

Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

std::optional<Int> Value::integer() const {
  if (const auto* value = std::get_if<Int>(&data_)) return *value;
  if (const auto* value = boolean()) return Int{*value};
  return std::nullopt;
}

double Value::number() const {
  if (const auto* value = floating()) return *value;
  const auto value = integer();
  return value ? static_cast<double>(*value) : 0.0;
}

bool Value::same_as(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_none()) return true;
  if (is_number()) return compare_numbers(*this, other) == 0;
  if (string()) {
    return string() == other.string() || string()->text == other.string()->text;
  }
  if (sequence()) return sequence() == other.sequence();
  if (dict()) return dict() == other.dict();
  if (object()) return object() == other.object();
  return std::get<UndefinedPtr>(data_) == std::get<UndefinedPtr>(other.data_);
}

std::uint32_t Value::depth() const {
  if (const auto* value = sequence()) return value->depth;
  if (const auto* value = dict()) return value->depth;
  if (const auto* value = object()) return value->depth();
  return 0;
}

std::uint32_t key_weight(const Value& value) {
  if (value.dict()) return 0;
  const auto* sequence = value.sequence();
  if (!sequence || sequence->kind == SequenceKind::kGenerator) return 1;
  return sequence->key_weight;
}

int compare_keys(const Value& a, const Value& b) {
  for (const auto* value : {&a, &b}) {
    const std::uint32_t weight = key_weight(*value);
    if (weight == 0) {
      throw Failure{"unhashable type: '" + type_name(*value) + "'"};
    }
    if (weight > kMaxKeyWeight) throw Failure{"a dict key is too large"};
  }
  const int rank = key_rank(a);
  if (rank != key_rank(b)) return three_way(rank, key_rank(b));
  if (rank == 1) return compare_numbers(a, b);
  if (rank == 2) return a.string()->text.compare(b.string()->text);
  if (rank == 3) {
    const auto& x = a.sequence()->items;
    const auto& y = b.sequence()->items;
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (const int order = compare_keys(x[i], y[i])) return order;
    }
    return three_way(x.size(), y.size());
  }
  if (rank == 5) {
    return three_way<const void*>(
        a.object() ? static_cast<const void*>(a.object()) : a.sequence(),
        b.object() ? static_cast<const void*>(b.object()) : b.sequence());
  }
  return 0;
}

const Value* DictData::find(const Value& key) const {
  const auto at = std::lower_bound(order.begin(), order.end(), key,
                                   [&](std::uint32_t i, const Value& k) {
                                     return compare_keys(items[i].first, k) < 0;
                                   });
  if (at == order.end()) {
    compare_keys(key, key);
    return nullptr;
  }
  const auto& item = items[*at];
  return compare_keys(item.first, key) == 0 ? &item.second : nullptr;
}

const Value* DictData::find(std::string_view key) const {
  const auto less = [&](std::uint32_t i, std::string_view k) {
    const int rank = key_rank(items[i].first);
    if (rank != 2) return rank < 2;
    return items[i].first.string()->text < k;
  };
  const auto at = std::lower_bound(order.begin(), order.end(), key, less);
  if (at == order.end()) return nullptr;
  const auto* found = items[*at].first.string();
  return found && found->text == key ? &items[*at].second : nullptr;
}

bool Heap::truth(const Value& value) {
  if (const auto* x = value.boolean()) return *x;
  if (value.is_number()) return value.number() != 0;
  if (const auto* x = value.string()) return !x->text.empty();
  if (const auto* x = value.dict()) return !x->items.empty();
  if (const auto* x = value.sequence()) {
    return x->kind == SequenceKind::kGenerator || !x->items.empty();
  }
  return !value.is_none() && !value.is_undefined();
}

bool Heap::equal(const Value& a, const Value& b) {
  step();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.string() && b.string()) {
    work(a.string()->text.size());
    return a.string()->text == b.string()->text;
  }
  if (a.is_none() || a.is_undefined()) {
    return a.is_none() == b.is_none() && a.is_undefined() == b.is_undefined();
  }
  const auto *x = a.sequence(), *y = b.sequence();
  if (x && y) {
    if (x == y) return true;
    if (x->kind != y->kind || x->kind == SequenceKind::kGenerator ||
        x->items.size() != y->items.size()) {
      return false;
    }
    for (std::size_t i = 0; i < x->items.size(); ++i) {
      if (!equal(x->items[i], y->items[i])) return false;
    }
    return true;
  }
  if (a.dict() && b.dict()) {
    if (a.dict()->items.size() != b.dict()->items.size()) return false;
    for (const auto& [key, value] : a.dict()->items) {
      const auto* other = b.dict()->find(key);
      if (!other || !equal(value, *other)) return false;
    }
    return true;
  }
  return a.object() && a.object() == b.object();
}

int Heap::compare(const Value& a, const Value& b, const char* op) {
  step();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.string() && b.string()) {
    work(a.string()->text.size());
    return a.string()->text.compare(b.string()->text);
  }
  for (const auto* value : {&a, &b}) {
    if (value->is_undefined()) throw Failure{value->undefined_message()};
  }
  const auto *x = a.sequence(), *y = b.sequence();
  if (x && y && x->kind == y->kind &&
      (x->kind == SequenceKind::kList || x->kind == SequenceKind::kTuple)) {
    const std::size_t common = std::min(x->items.size(), y->items.size());
    for (std::size_t i = 0; i < common; ++i) {
      if (!equal(x->items[i], y->items[i])) {
        return compare(x->items[i], y->items[i], op);
      }
    }
    return three_way(x->items.size(), y->items.size());
  }
  throw Failure{std::string("'") + op +
                "' not supported between instances of '" + type_name(a) +
                "' and '" + type_name(b) + "'"};
}

std::string type_name(const Value& value) {
  if (value.is_none()) return "NoneType";
  if (value.boolean()) return "bool";
  if (value.integer()) return "int";
  if (value.floating()) return "float";
  if (value.string()) return value.string()->markup ? "Markup" : "str";
  if (value.dict()) return "dict";
  if (value.object()) return value.object()->type_name();
  if (value.is_undefined()) return "Undefined";
  switch (value.sequence()->kind) {
    case SequenceKind::kList:
      return "list";
    case SequenceKind::kTuple:
      return "tuple";
    case SequenceKind::kRange:
      return "range";
    case SequenceKind::kGenerator:
      return "generator";
    case SequenceKind::kKeys:
      return "dict_keys";
    case SequenceKind::kValues:
      return "dict_values";
    case SequenceKind::kItems:
      return "dict_items";
  }
  return "object";
}

}  // namespace skua::jinja
