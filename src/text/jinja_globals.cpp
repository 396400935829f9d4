#include <algorithm>
#include <ctime>

#include "text/jinja_objects.h"

namespace skua::jinja {
namespace {

using Function = Value (*)(Interpreter&, const Args&);

struct Global : Object {
  Global(std::string name, Function function)
      : name(std::move(name)), function(function) {}
  std::string type_name() const override { return "function"; }
  Value call(Interpreter& interpreter, const Args& args) override {
    return function(interpreter, args);
  }
  std::string name;
  Function function;
};

/** cycler(...): next() and reset(), or the current item. */
struct Cycler : Object {
  struct Step : Object {
    std::string type_name() const override { return "method"; }
    Value call(Interpreter&, const Args& args) override {
      bind(args, "cycler", {});
      if (resets) {
        cycler->position = 0;
        return {};
      }
      const Value item = cycler->items[cycler->position];
      cycler->position = (cycler->position + 1) % cycler->items.size();
      return item;
    }
    std::uint32_t depth() const override { return cycler->nesting + 1; }
    std::shared_ptr<Cycler> cycler;
    bool resets = false;
  };
  std::string type_name() const override { return "Cycler"; }
  bool callable() const override { return false; }
  std::uint32_t depth() const override { return nesting; }
  std::optional<Value> attribute(Interpreter& interpreter,
                                 std::string_view name) override {
    if (name == "current") return items[position];
    if (name != "next" && name != "reset") return std::nullopt;
    auto step = std::make_shared<Step>();
    step->cycler = self.lock();
    step->resets = name == "reset";
    return interpreter.heap().object(std::move(step));
  }
  std::vector<Value> items;
  std::size_t position = 0;
  std::uint32_t nesting = 1;
  std::weak_ptr<Cycler> self;
};

struct Joiner : Object {
  std::string type_name() const override { return "Joiner"; }
  Value call(Interpreter& interpreter, const Args&) override {
    if (std::exchange(used, true)) return separator;
    return interpreter.heap().string("");
  }
  Value separator;
  bool used = false;
};

Value make_cycler(Interpreter& interpreter, const Args& args) {
  if (args.positional.empty()) {
    throw Failure{"at least one item has to be provided"};
  }
  auto cycler = std::make_shared<Cycler>();
  cycler->items = args.positional;
  cycler->self = cycler;
  for (const auto& item : args.positional) {
    cycler->nesting = std::max(cycler->nesting, item.depth() + 1);
  }
  return interpreter.heap().object(std::move(cycler));
}

Value make_joiner(Interpreter& interpreter, const Args& args) {
  const auto bound = bind(args, "joiner", {"sep"});
  auto joiner = std::make_shared<Joiner>();
  joiner->separator = interpreter.heap().string(
      bound[0] ? interpreter.heap().str(*bound[0]) : ", ");
  return interpreter.heap().object(std::move(joiner));
}

Value make_dict(Interpreter& interpreter, const Args& args) {
  Heap& heap = interpreter.heap();
  Pairs pairs;
  if (args.positional.size() > 1) {
    throw Failure{"dict expected at most 1 argument"};
  }
  for (const auto& source : args.positional) {
    if (const auto* dict = source.dict()) {
      pairs = dict->items;
      continue;
    }
    for (const auto& item : heap.iterate(source)) {
      auto pair = heap.iterate(item);
      if (pair.size() != 2) {
        throw Failure{"dictionary update sequence element has length " +
                      std::to_string(pair.size()) + "; 2 is required"};
      }
      pairs.emplace_back(std::move(pair[0]), std::move(pair[1]));
    }
  }
  for (const auto& [name, value] : args.named) {
    pairs.emplace_back(heap.string(name), value);
  }
  return heap.dict(std::move(pairs));
}

Value make_namespace(Interpreter& interpreter, const Args& args) {
  const Value values = make_dict(interpreter, args);
  auto space = std::make_shared<Namespace>();
  for (const auto& [key, value] : values.dict()->items) {
    if (key.string()) space->attributes[key.string()->text] = value;
  }
  Value result = interpreter.heap().object(space);
  interpreter.heap().keep(std::move(space));
  return result;
}

Value make_range(Interpreter& interpreter, const Args& args) {
  constexpr Int kMaxRange = 100'000;
  const auto bound = bind(args, "range", {"", "", ""}, 1);
  const Int start = bound[1] ? index_of(*bound[0], "range") : 0;
  const Int stop = index_of(bound[1] ? *bound[1] : *bound[0], "range");
  const Int step = bound[2] ? index_of(*bound[2], "range") : 1;
  if (step == 0) throw Failure{"range() arg 3 must not be zero"};
  const Int span = step > 0 ? stop - start : start - stop;
  const Int stride = step > 0 ? step : -step;
  const Int count = span > 0 ? (span - 1) / stride + 1 : 0;
  if (count > kMaxRange) {
    throw Failure{
        "Range too big. The sandbox blocks ranges larger than "
        "MAX_RANGE (100000)."};
  }
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(count));
  for (Int i = 0; i < count; ++i) items.emplace_back(start + i * step);
  Value range =
      interpreter.heap().sequence(std::move(items), SequenceKind::kRange);
  range.sequence()->text = "range(" + repr_int(start) + ", " + repr_int(stop) +
                           (step == 1 ? "" : ", " + repr_int(step)) + ")";
  return range;
}

Value raise_exception(Interpreter& interpreter, const Args& args) {
  const auto bound = bind(args, "raise_exception", {"message"}, 1);
  throw Failure{interpreter.heap().str(*bound[0])};
}

Value strftime_now(Interpreter& interpreter, const Args& args) {
  const auto bound = bind(args, "strftime_now", {"format"}, 1);
  const std::string& format = text_of(*bound[0], "strftime_now");
  const auto& fixed = interpreter.heap().limits().now;
  const std::time_t now =
      fixed ? static_cast<std::time_t>(*fixed) : std::time(nullptr);
  std::tm parts{};
  if (fixed) {
    gmtime_r(&now, &parts);
  } else {
    localtime_r(&now, &parts);
  }
  // A leading character tells an empty result from one that did not fit.
  const std::string marked = "x" + format;
  std::string text(std::min<std::size_t>(64 + 32 * format.size(), 1 << 16),
                   '\0');
  text.resize(std::strftime(text.data(), text.size(), marked.c_str(), &parts));
  if (text.empty()) throw Failure{"strftime_now: the format is too long"};
  return interpreter.heap().string(text.substr(1));
}

}  // namespace

const Value* find_global(std::string_view name) {
  static const auto kGlobals = [] {
    std::map<std::string, Value, std::less<>> globals;
    const auto add = [&](const char* each, Function function) {
      globals.emplace(each,
                      ObjectPtr(std::make_shared<Global>(each, function)));
    };
    add("cycler", make_cycler);
    add("dict", make_dict);
    add("joiner", make_joiner);
    add("namespace", make_namespace);
    add("raise_exception", raise_exception);
    add("range", make_range);
    add("strftime_now", strftime_now);
    return globals;
  }();
  const auto found = kGlobals.find(name);
  return found == kGlobals.end() ? nullptr : &found->second;
}

}  // namespace skua::jinja
