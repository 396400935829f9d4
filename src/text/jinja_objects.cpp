#include "text/jinja_objects.h"

namespace skua::jinja {

std::optional<Value> Namespace::attribute(Interpreter&, std::string_view name) {
  const auto found = attributes.find(name);
  if (found == attributes.end()) return std::nullopt;
  return found->second;
}

std::optional<Value> Macro::attribute(Interpreter& interpreter,
                                      std::string_view key) {
  Heap& heap = interpreter.heap();
  const Signature& signature = statement->signature;
  if (key == "name") return heap.string(name);
  if (key == "caller") return signature.uses_caller;
  if (key == "catch_kwargs") return signature.uses_kwargs;
  if (key == "catch_varargs") return signature.uses_varargs;
  if (key != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const auto& each : signature.names) names.push_back(heap.string(each));
  return heap.tuple(std::move(names));
}

namespace {

/** loop.cycle and loop.changed. */
struct LoopMethod : Object {
  std::string type_name() const override { return "method"; }
  std::uint32_t depth() const override { return loop->depth() + 1; }
  Value call(Interpreter& interpreter, const Args& args) override {
    return changed ? loop->changed(interpreter.heap(), args)
                   : loop->cycle(args);
  }
  std::shared_ptr<Loop> loop;
  bool changed = false;
};

}  // namespace

std::string Loop::repr() const {
  return "<LoopContext " + std::to_string(index + 1) + "/" +
         std::to_string(items.size()) + ">";
}

std::optional<Value> Loop::attribute(Interpreter& interpreter,
                                     std::string_view name) {
  Heap& heap = interpreter.heap();
  const auto number = [](std::size_t value) {
    return Value(static_cast<Int>(value));
  };
  const std::size_t size = items.size();
  if (name == "index") return number(index + 1);
  if (name == "index0") return number(index);
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 >= size;
  if (name == "length") return number(size);
  if (name == "revindex") return number(size - index);
  if (name == "revindex0")
    return Value(static_cast<Int>(size) - static_cast<Int>(index) - 1);
  if (name == "depth") return number(level + 1);
  if (name == "depth0") return number(level);
  if (name == "cycle" || name == "changed") {
    auto method = std::make_shared<LoopMethod>();
    method->loop = shared_from_this();
    method->changed = name == "changed";
    return heap.object(std::move(method));
  }
  if (name == "previtem") {
    return index > 0 ? items[index - 1]
                     : heap.undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < size ? items[index + 1]
                            : heap.undefined("there is no next item");
  }
  return std::nullopt;
}

Value Loop::call(Interpreter& interpreter, const Args& args) {
  if (!statement) {
    throw Failure{
        "The loop must have the 'recursive' marker to be called "
        "recursively."};
  }
  const auto bound = bind(args, "loop", {"iterable"}, 1);
  return interpreter.call_loop(*statement, scope, *bound[0], level + 1);
}

Value Loop::cycle(const Args& args) const {
  if (args.positional.empty()) throw Failure{"no items for cycling given"};
  return args.positional[index % args.positional.size()];
}

Value Loop::changed(Heap& heap, const Args& args) {
  Value now = heap.tuple(args.positional);
  if (last_changed && heap.equal(*last_changed, now)) return false;
  last_changed = std::move(now);
  return true;
}

Value Method::call(Interpreter& interpreter, const Args& args) {
  Heap& heap = interpreter.heap();
  if (self.string()) return call_string_method(interpreter, self, name, args);
  if (const auto* dict = self.dict()) {
    if (name == "get") {
      const auto bound = bind(args, "get", {"", ""}, 1);
      if (const Value* found = dict->find(*bound[0])) return *found;
      return bound[1] ? *bound[1] : Value();
    }
    bind(args, name, {});
    if (name == "copy") return heap.dict(dict->items);
    std::vector<Value> items;
    heap.step(dict->items.size());
    for (const auto& [key, value] : dict->items) {
      items.push_back(name == "keys"     ? key
                      : name == "values" ? value
                                         : heap.tuple({key, value}));
    }
    return heap.sequence(std::move(items), name == "keys" ? SequenceKind::kKeys
                                           : name == "values"
                                               ? SequenceKind::kValues
                                               : SequenceKind::kItems);
  }
  auto& sequence = *self.sequence();
  if (name == "pop") {
    const auto bound = bind(args, "pop", {""});
    const auto size = static_cast<std::int64_t>(sequence.items.size());
    std::int64_t at = bound[0] ? index_of(*bound[0], "pop") : -1;
    if (at < 0) at += size;
    if (at < 0 || at >= size) throw Failure{"pop index out of range"};
    heap.step(static_cast<std::size_t>(size - at) / 8);
    Value item = sequence.items[static_cast<std::size_t>(at)];
    sequence.items.erase(sequence.items.begin() + at);
    return item;
  }
  if (name == "copy" || name == "clear") {
    bind(args, name, {});
    if (name == "copy") return heap.list(sequence.items);
    sequence.items.clear();
    return {};
  }
  const auto bound = bind(args, name, {""}, 1);
  Int count = 0;
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    if (!heap.equal(sequence.items[i], *bound[0])) continue;
    if (name == "index") return static_cast<Int>(i);
    ++count;
  }
  if (name == "index") throw Failure{heap.repr(*bound[0]) + " is not in list"};
  return count;
}

std::optional<Value> find_method(Heap& heap, const Value& self,
                                 std::string_view name) {
  const auto is_any = [&](std::initializer_list<std::string_view> names) {
    for (const auto each : names) {
      if (name == each) return true;
    }
    return false;
  };
  bool found = false;
  bool changes = false;
  if (self.string()) {
    found = is_string_method(name);
  } else if (self.dict()) {
    found = is_any({"get", "items", "keys", "values", "copy"});
    changes = is_any({"clear", "pop", "popitem", "setdefault", "update"});
  } else if (self.is(SequenceKind::kList)) {
    found = is_any({"index", "count", "copy", "pop", "clear"});
    changes =
        is_any({"append", "extend", "insert", "remove", "reverse", "sort"});
  } else if (self.is(SequenceKind::kTuple)) {
    found = is_any({"index", "count"});
  }
  if (changes) {
    return heap.undefined("access to attribute '" + std::string(name) +
                          "' of '" + type_name(self) + "' object is unsafe.");
  }
  if (!found) return std::nullopt;
  return heap.object(std::make_shared<Method>(self, std::string(name)));
}

}  // namespace skua::jinja
