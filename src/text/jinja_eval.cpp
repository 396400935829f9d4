#include "text/jinja_eval.h"

#include <algorithm>

#include "text/jinja_frames.h"

namespace skua::jinja {

Value Interpreter::eval(const Expr& expr) {
  const Depth guard(*this);
  try {
    heap_.step();
    return eval_kind(expr);
  } catch (const Failure& failure) {
    throw PlacedFailure{failure.message, expr.offset};
  }
}

Value Interpreter::eval_kind(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConst:
      return expr.constant;
    case ExprKind::kName:
      return eval_name(expr);
    case ExprKind::kTuple:
      return heap_.tuple(eval_all(expr.children));
    case ExprKind::kList:
      return heap_.list(eval_all(expr.children));
    case ExprKind::kDict:
      return eval_dict(expr);
    case ExprKind::kAttribute:
      return attribute(eval(*expr.children[0]), expr.name);
    case ExprKind::kItem:
      return eval_item(expr);
    case ExprKind::kSlice:
      throw Failure{"slices are not supported here"};
    case ExprKind::kCall:
      return eval_call(expr, nullptr);
    case ExprKind::kFilter:
      return eval_filter(expr, nullptr);
    case ExprKind::kTest:
      return eval_test(expr);
    case ExprKind::kNot:
    case ExprKind::kNegative:
    case ExprKind::kPositive:
      return eval_unary(expr);
    case ExprKind::kBinary: {
      const Value left = eval(*expr.children[0]);
      return binary(expr.name, left, eval(*expr.children[1]));
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      Value left = eval(*expr.children[0]);
      if (heap_.truth(left) == (expr.kind == ExprKind::kOr)) return left;
      return eval(*expr.children[1]);
    }
    case ExprKind::kCompare:
      return eval_compare(expr);
    case ExprKind::kConcat:
      return eval_concat(expr);
    case ExprKind::kIfElse:
      if (heap_.truth(eval(*expr.children[0]))) return eval(*expr.children[1]);
      if (expr.children[2]) return eval(*expr.children[2]);
      return heap_.undefined(
          "the inline if-expression evaluated to false and no else section "
          "was defined.");
  }
  return {};
}

const Value* Interpreter::lookup(std::string_view name) const {
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent.get()) {
    const auto found = scope->variables.find(name);
    if (found != scope->variables.end()) return &found->second;
  }
  return find_global(name);
}

Value Interpreter::eval_name(const Expr& expr) {
  const Value* value = lookup(expr.name);
  return value ? *value : heap_.undefined("'" + expr.name + "' is undefined");
}

std::vector<Value> Interpreter::eval_all(const std::vector<ExprPtr>& exprs) {
  std::vector<Value> values;
  values.reserve(exprs.size());
  for (const auto& expr : exprs) values.push_back(eval(*expr));
  return values;
}

Value Interpreter::eval_dict(const Expr& expr) {
  Pairs pairs;
  for (std::size_t i = 0; i + 1 < expr.children.size(); i += 2) {
    Value key = eval(*expr.children[i]);
    pairs.emplace_back(std::move(key), eval(*expr.children[i + 1]));
  }
  return heap_.dict(std::move(pairs));
}

Value Interpreter::eval_item(const Expr& expr) {
  const Value value = eval(*expr.children[0]);
  const Expr& key = *expr.children[1];
  if (key.kind != ExprKind::kSlice) return item(value, eval(key));
  Value parts[3];
  for (std::size_t i = 0; i < 3; ++i) {
    if (key.children[i]) parts[i] = eval(*key.children[i]);
  }
  return slice(value, parts[0], parts[1], parts[2]);
}

Args Interpreter::eval_arguments(const Expr& expr) {
  Args args;
  args.positional = eval_all(expr.positional);
  for (const auto& [name, value] : expr.named) {
    args.named.emplace_back(name, eval(*value));
  }
  if (expr.more_positional) {
    for (auto& value : heap_.iterate(eval(*expr.more_positional))) {
      args.positional.push_back(std::move(value));
    }
  }
  if (expr.more_named) {
    const Value more = eval(*expr.more_named);
    if (!more.dict()) throw Failure{"argument after ** must be a mapping"};
    for (const auto& [key, value] : more.dict()->items) {
      if (!key.string()) throw Failure{"keywords must be strings"};
      args.named.emplace_back(key.string()->text, value);
    }
  }
  return args;
}

Value Interpreter::eval_call(const Expr& expr, const Value* caller) {
  const Value callee = eval(*expr.children[0]);
  Args args = eval_arguments(expr);
  if (caller) args.named.emplace_back("caller", *caller);
  return call(callee, args);
}

Value Interpreter::call(const Value& callee, const Args& args) {
  if (callee.is_undefined()) throw Failure{callee.undefined_message()};
  if (!callee.object()) {
    throw Failure{"'" + type_name(callee) + "' object is not callable"};
  }
  return callee.object()->call(*this, args);
}

Value Interpreter::eval_unary(const Expr& expr) {
  const Value value = eval(*expr.children[0]);
  if (expr.kind == ExprKind::kNot) return !heap_.truth(value);
  const bool negative = expr.kind == ExprKind::kNegative;
  if (const auto integer = value.integer()) {
    return negative ? binary("-", Int{0}, *integer) : Value(*integer);
  }
  if (value.floating()) return negative ? -value.number() : value.number();
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  throw Failure{std::string("bad operand type for unary ") +
                (negative ? "-" : "+") + ": '" + type_name(value) + "'"};
}

Value Interpreter::eval_compare(const Expr& expr) {
  Value left = eval(*expr.children[0]);
  for (std::size_t i = 0; i < expr.ops.size(); ++i) {
    Value right = eval(*expr.children[i + 1]);
    const std::string& op = expr.ops[i];
    bool holds;
    if (op == "==" || op == "!=") {
      holds = heap_.equal(left, right) == (op == "==");
    } else if (op == "in" || op == "not in") {
      holds = contains(left, right) == (op == "in");
    } else {
      const bool nan =
          left.number() != left.number() || right.number() != right.number();
      const int order = heap_.compare(left, right, op.c_str());
      holds =
          !nan && (order == 0 ? op.size() == 2 : (order < 0) == (op[0] == '<'));
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::eval_concat(const Expr& expr) {
  std::string text;
  for (const auto& child : expr.children) {
    heap_.append(text, heap_.str(eval(*child)));
  }
  return heap_.string(std::move(text));
}

Value Interpreter::eval_test(const Expr& expr) {
  const Value value = eval(*expr.children[0]);
  return test(expr.name, value, eval_arguments(expr));
}

/** `input` stands for the missing value of a filter in a block. */
Value Interpreter::eval_filter(const Expr& expr, const Value* input) {
  const Depth guard(*this);
  const Expr* inner = expr.children[0].get();
  Value value;
  if (!inner) {
    value = *input;
  } else if (input && inner->kind == ExprKind::kFilter) {
    value = eval_filter(*inner, input);
  } else {
    value = eval(*inner);
  }
  return filter(expr.name, value, eval_arguments(expr));
}

Bound bind(const Args& args, std::string_view function,
           std::initializer_list<std::string_view> names,
           std::size_t required) {
  const std::string place = std::string(function) + "()";
  if (args.positional.size() > names.size()) {
    throw Failure{place + " takes at most " + std::to_string(names.size()) +
                  " arguments, got " + std::to_string(args.positional.size())};
  }
  Bound bound(names.size());
  for (std::size_t i = 0; i < args.positional.size(); ++i) {
    bound[i] = &args.positional[i];
  }
  for (const auto& [name, value] : args.named) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end() || name.empty()) {
      throw Failure{place + " got an unexpected keyword argument '" + name +
                    "'"};
    }
    const auto i = static_cast<std::size_t>(at - names.begin());
    if (bound[i]) {
      throw Failure{place + " got multiple values for argument '" + name + "'"};
    }
    bound[i] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (!bound[i]) throw Failure{place + " misses a required argument"};
  }
  return bound;
}

const std::string& text_of(const Value& value, std::string_view function) {
  if (const auto* text = value.string()) return text->text;
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  throw Failure{std::string(function) + "() argument must be str, not " +
                type_name(value)};
}

Int int_of(const Value& value, std::string_view function) {
  if (const auto integer = value.integer()) return *integer;
  if (value.is_undefined()) throw Failure{value.undefined_message()};
  throw Failure{std::string(function) + "(): '" + type_name(value) +
                "' object cannot be interpreted as an integer"};
}

std::int64_t index_of(const Value& value, std::string_view function) {
  constexpr Int kLimit = Int{1} << 62;
  return static_cast<std::int64_t>(
      std::clamp(int_of(value, function), -kLimit, kLimit));
}

}  // namespace skua::jinja
