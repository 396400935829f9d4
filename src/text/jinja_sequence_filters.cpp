#include <algorithm>

#include "text/jinja_filters.h"

namespace skua::jinja {
namespace {

Value length(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "length", {});
  return static_cast<Int>(interpreter.heap().length(value));
}

Value to_list(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "list", {});
  return interpreter.heap().list(interpreter.heap().iterate(value));
}

Value first(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "first", {});
  if (value.is(SequenceKind::kGenerator)) {
    auto& items = value.sequence()->items;
    if (!items.empty()) {
      Value item = std::move(items.front());
      items.erase(items.begin());
      return item;
    }
  } else {
    const auto items = interpreter.heap().iterate(value);
    if (!items.empty()) return items.front();
  }
  return interpreter.heap().undefined("No first item, sequence was empty.");
}

Value last(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "last", {});
  if (value.is(SequenceKind::kGenerator)) {
    throw Failure{"'generator' object is not reversible"};
  }
  const auto items = interpreter.heap().iterate(value);
  if (!items.empty()) return items.back();
  return interpreter.heap().undefined("No last item, sequence was empty.");
}

Value join(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "join", {"d", "attribute"});
  Heap& heap = interpreter.heap();
  const std::string separator = bound[0] ? heap.str(*bound[0]) : "";
  std::string out;
  bool is_first = true;
  for (const auto& item : heap.iterate(value)) {
    if (!is_first) heap.append(out, separator);
    const bool direct = !bound[1] || bound[1]->is_none();
    heap.append(
        out, heap.str(direct ? item : get_path(interpreter, item, *bound[1])));
    is_first = false;
  }
  return heap.string(std::move(out));
}

Value reverse(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "reverse", {});
  Heap& heap = interpreter.heap();
  auto items = heap.iterate(value);
  std::reverse(items.begin(), items.end());
  if (!value.string()) return heap.generator(std::move(items));
  std::string out;
  for (const auto& item : items) out += item.string()->text;
  return heap.string(std::move(out));
}

Value items(Interpreter& interpreter, const Value& value, const Args& args) {
  bind(args, "items", {});
  Heap& heap = interpreter.heap();
  std::vector<Value> pairs;
  if (!value.is_undefined()) {
    if (!value.dict()) {
      throw Failure{"Can only get item pairs from a mapping."};
    }
    for (const auto& [key, item] : value.dict()->items) {
      pairs.push_back(heap.tuple({key, item}));
    }
  }
  return heap.generator(std::move(pairs));
}

Value batch(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "batch", {"linecount", "fill_with"}, 1);
  Heap& heap = interpreter.heap();
  const std::int64_t size = index_of(*bound[0], "batch");
  std::vector<Value> rows;
  std::vector<Value> row;
  for (auto& item : heap.iterate(value)) {
    if (static_cast<std::int64_t>(row.size()) == size) {
      rows.push_back(heap.list(std::exchange(row, {})));
    }
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    const auto missing = size - static_cast<std::int64_t>(row.size());
    if (bound[1] && !bound[1]->is_none() && missing > 0) {
      heap.step(static_cast<std::size_t>(missing));
      heap.reserve(static_cast<std::size_t>(missing));
      row.insert(row.end(), static_cast<std::size_t>(missing), *bound[1]);
    }
    rows.push_back(heap.list(std::move(row)));
  }
  return heap.generator(std::move(rows));
}

Value slice(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "slice", {"slices", "fill_with"}, 1);
  Heap& heap = interpreter.heap();
  const auto all = heap.iterate(value);
  const std::int64_t count = index_of(*bound[0], "slice");
  if (count == 0) throw Failure{"integer division or modulo by zero"};
  std::vector<Value> columns;
  if (count < 0) return heap.generator({});
  heap.step(static_cast<std::size_t>(count));
  const auto slices = static_cast<std::size_t>(count);
  const std::size_t each = all.size() / slices;
  const std::size_t longer = all.size() % slices;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    const std::size_t end = begin + each + (i < longer ? 1 : 0);
    std::vector<Value> column(all.begin() + static_cast<long>(begin),
                              all.begin() + static_cast<long>(end));
    if (bound[1] && !bound[1]->is_none() && i >= longer) {
      column.push_back(*bound[1]);
    }
    columns.push_back(heap.list(std::move(column)));
    begin = end;
  }
  return heap.generator(std::move(columns));
}

Value sum(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "sum", {"attribute", "start"});
  Value total = bound[1] ? *bound[1] : Value(Int{0});
  const bool direct = !bound[0] || bound[0]->is_none();
  if (total.string()) throw Failure{"sum() can't sum strings"};
  for (const auto& item : interpreter.heap().iterate(value)) {
    total = interpreter.binary(
        "+", total, direct ? item : get_path(interpreter, item, *bound[0]));
  }
  return total;
}

Value attribute(Interpreter& interpreter, const Value& value,
                const Args& args) {
  const auto bound = bind(args, "attr", {"name"}, 1);
  const std::string name = interpreter.heap().str(*bound[0]);
  if (value.dict() && value.dict()->find(name) &&
      !find_method(interpreter.heap(), value, name)) {
    return interpreter.heap().undefined("'dict object' has no attribute '" +
                                        name + "'");
  }
  return interpreter.attribute(value, name);
}

}  // namespace

void add_sequence_filters(FilterTable& table) {
  table["attr"] = attribute;
  table["batch"] = batch;
  table["count"] = length;
  table["first"] = first;
  table["items"] = items;
  table["join"] = join;
  table["last"] = last;
  table["length"] = length;
  table["list"] = to_list;
  table["reverse"] = reverse;
  table["slice"] = slice;
  table["sum"] = sum;
}

}  // namespace skua::jinja
