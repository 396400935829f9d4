#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/jinja_eval.h"

namespace skua::jinja {

/** namespace(...): the one value that a template may change. */
struct Namespace : Object {
  std::string type_name() const override { return "Namespace"; }
  std::string repr() const override { return "<Namespace>"; }
  bool callable() const override { return false; }
  std::optional<Value> attribute(Interpreter&, std::string_view name) override;
  void clear() override { attributes.clear(); }
  std::map<std::string, Value, std::less<>> attributes;
};

struct Macro : Object {
  std::string type_name() const override { return "Macro"; }
  std::string repr() const override { return "<Macro '" + name + "'>"; }
  std::optional<Value> attribute(Interpreter&, std::string_view name) override;
  Value call(Interpreter& interpreter, const Args& args) override {
    return interpreter.call_macro(*statement, name, scope, args);
  }
  const Statement* statement = nullptr;
  std::string name;
  ScopePtr scope;
};

/** The `loop` variable. */
struct Loop : Object, std::enable_shared_from_this<Loop> {
  /** Ends what `changed` keeps, which may be the loop itself. */
  struct Finally {
    explicit Finally(Loop& loop) : loop(loop) {}
    ~Finally() { loop.last_changed.reset(); }
    Finally(const Finally&) = delete;
    Finally& operator=(const Finally&) = delete;
    Loop& loop;
  };
  std::string type_name() const override { return "LoopContext"; }
  std::string repr() const override;
  std::uint32_t depth() const override { return nesting; }
  bool callable() const override { return true; }
  std::optional<Value> attribute(Interpreter& interpreter,
                                 std::string_view name) override;
  Value call(Interpreter& interpreter, const Args& args) override;
  Value cycle(const Args& args) const;
  Value changed(Heap& heap, const Args& args);

  std::vector<Value> items;
  std::size_t index = 0;
  std::size_t level = 0;
  std::uint32_t nesting = 1;
  const Statement* statement = nullptr;  // of a recursive loop
  ScopePtr scope;
  std::optional<Value> last_changed;
};

/** A method of a value, or of a loop. */
struct Method : Object {
  Method(Value self, std::string name)
      : self(std::move(self)), name(std::move(name)) {}
  std::string type_name() const override {
    return "builtin_function_or_method";
  }
  std::uint32_t depth() const override { return self.depth() + 1; }
  Value call(Interpreter& interpreter, const Args& args) override;
  Value self;
  std::string name;
};

}  // namespace skua::jinja
