#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_value.h"

namespace skua::jinja {

/** Variables of a template, a loop pass, a macro call or a block. */
struct Scope : Object {
  explicit Scope(std::shared_ptr<Scope> parent) : parent(std::move(parent)) {}
  std::string type_name() const override { return "scope"; }
  void clear() override {
    variables.clear();
    parent.reset();
  }
  std::shared_ptr<Scope> parent;
  std::map<std::string, Value, std::less<>> variables;
};
using ScopePtr = std::shared_ptr<Scope>;

/** Renders one parsed template once. Its functions throw Failure, or
 *  PlacedFailure once the place is known. Source: Jinja2 3.1. */
class Interpreter {
 public:
  explicit Interpreter(const TemplateLimits& limits) : heap_(limits) {}

  std::string render(const Body& body, const Json& context);

  Heap& heap() { return heap_; }
  Value call(const Value& callee, const Args& args);
  Value filter(std::string_view name, const Value& value, const Args& args);
  bool test(std::string_view name, const Value& value, const Args& args);
  /** `value.name`: Python's attributes before the items of a dict. */
  Value attribute(const Value& value, std::string_view name);
  /** `value[key]`: items before attributes. */
  Value item(const Value& value, const Value& key);
  Value slice(const Value& value, const Value& start, const Value& stop,
              const Value& step);
  Value binary(std::string_view op, const Value& a, const Value& b);
  bool contains(const Value& item, const Value& container);

  /** Calls a macro's body with its arguments bound as Jinja2 binds them. */
  Value call_macro(const Statement& macro, const std::string& name,
                   const ScopePtr& scope, const Args& args);
  /** Runs a loop over `items` and returns its text, for loop(...). */
  Value call_loop(const Statement& loop, const ScopePtr& scope,
                  const Value& items, std::size_t depth);

 private:
  enum class Flow : std::uint8_t { kNormal, kBreak, kContinue };
  class Depth;
  class InScope;
  class Capture;

  Value eval(const Expr& expr);
  Value eval_kind(const Expr& expr);
  Value eval_name(const Expr& expr);
  Value eval_dict(const Expr& expr);
  Value eval_item(const Expr& expr);
  Value eval_call(const Expr& expr, const Value* caller);
  Value eval_unary(const Expr& expr);
  Value eval_compare(const Expr& expr);
  Value eval_concat(const Expr& expr);
  Value eval_test(const Expr& expr);
  Value eval_filter(const Expr& expr, const Value* input);
  std::vector<Value> eval_all(const std::vector<ExprPtr>& exprs);
  Args eval_arguments(const Expr& expr);
  const Value* lookup(std::string_view name) const;

  Flow exec_body(const Body& body);
  Flow exec(const Statement& statement);
  Flow exec_kind(const Statement& statement);
  Flow exec_if(const Statement& statement);
  Flow exec_scope(const Statement& statement);
  Flow exec_captured(const Statement& statement);
  Flow exec_for(const Statement& statement, const Value& items,
                std::size_t depth);
  std::vector<Value> loop_items(const Statement& statement, const Value& items);
  void exec_call_block(const Statement& statement);
  Value make_macro(const Statement& statement, std::string name);
  void assign(const Target& target, const Value& value);
  void write(std::string_view text);

  Heap heap_;
  ScopePtr scope_;
  std::string* out_ = nullptr;
  std::size_t captured_ = 0;  // bytes in the outputs that wait
  std::size_t depth_ = 0;
};

using Bound = std::vector<const Value*>;

/** Arguments in the order of `names`, null where absent; an empty name is
 *  positional only. Throws Failure for a superfluous, unknown or repeated
 *  argument and for a missing one of the first `required`. */
Bound bind(const Args& args, std::string_view function,
           std::initializer_list<std::string_view> names,
           std::size_t required = 0);

/** Arguments as text or integer; Failure names `function` for other kinds. */
const std::string& text_of(const Value& value, std::string_view function);
Int int_of(const Value& value, std::string_view function);

/** An integer argument clamped to [-2^62, 2^62]. */
std::int64_t index_of(const Value& value, std::string_view function);

/** A function of the globals, or null. */
const Value* find_global(std::string_view name);

/** A bound method of a string, list, tuple or dict; none for another name. */
std::optional<Value> find_method(Heap& heap, const Value& self,
                                 std::string_view name);
Value call_string_method(Interpreter& interpreter, const Value& self,
                         std::string_view name, const Args& args);
/** Null where the string has no method of that name. */
bool is_string_method(std::string_view name);

/** "..." % values, and "...".format(...). */
std::string format_percent(Heap& heap, std::string_view format,
                           const Value& values);
std::string format_braces(Interpreter& interpreter, std::string_view format,
                          const Args& args);

/** Python's json.dumps with Hugging Face's options of the tojson filter. */
Value to_json(Interpreter& interpreter, const Value& value, const Args& args);

/** Position of `needle` at or after `from`, or npos; linear in both. */
std::size_t find_text(std::string_view text, std::string_view needle,
                      std::size_t from = 0);
std::string replace_text(const Heap& heap, std::string_view text,
                         std::string_view from, std::string_view to,
                         std::int64_t limit);

}  // namespace skua::jinja
