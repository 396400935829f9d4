#include <algorithm>

#include "text/jinja_frames.h"
#include "text/jinja_objects.h"

namespace skua::jinja {

std::string Interpreter::render(const Body& body, const Json& context) {
  scope_ = std::make_shared<Scope>(nullptr);
  for (const auto& [name, value] : context.items()) {
    scope_->variables.insert_or_assign(name, heap_.json(value));
  }
  scope_ = std::make_shared<Scope>(std::move(scope_));
  Capture output(*this);
  exec_body(body);
  return output.take();
}

void Interpreter::write(std::string_view text) {
  heap_.work(text.size());
  if (captured_ + out_->size() + text.size() >
      heap_.limits().max_output_bytes) {
    throw Failure{"the text is too long, expected at most " +
                  std::to_string(heap_.limits().max_output_bytes) +
                  " bytes (max_output_bytes)"};
  }
  out_->append(text);
}

Interpreter::Flow Interpreter::exec_body(const Body& body) {
  for (const auto& statement : body) {
    const Flow flow = exec(*statement);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::exec(const Statement& statement) {
  const Depth guard(*this);
  try {
    heap_.step();
    return exec_kind(statement);
  } catch (const Failure& failure) {
    throw PlacedFailure{failure.message, statement.offset};
  }
}

Interpreter::Flow Interpreter::exec_kind(const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::kText:
      write(statement.text);
      break;
    case StatementKind::kOutput:
      for (const auto& expr : statement.exprs) write(heap_.str(eval(*expr)));
      break;
    case StatementKind::kSet:
      assign(statement.targets[0], eval(*statement.exprs[0]));
      break;
    case StatementKind::kIf:
      return exec_if(statement);
    case StatementKind::kFor:
      return exec_for(statement, eval(*statement.exprs[0]), 0);
    case StatementKind::kWith:
    case StatementKind::kScope:
      return exec_scope(statement);
    case StatementKind::kMacro:
      scope_->variables.insert_or_assign(statement.text,
                                         make_macro(statement, statement.text));
      break;
    case StatementKind::kCallBlock:
      exec_call_block(statement);
      break;
    case StatementKind::kSetBlock:
    case StatementKind::kFilterBlock:
      return exec_captured(statement);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::exec_if(const Statement& statement) {
  for (std::size_t i = 0; i < statement.bodies.size(); ++i) {
    if (i >= statement.exprs.size() || heap_.truth(eval(*statement.exprs[i]))) {
      return exec_body(statement.bodies[i]);
    }
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::exec_scope(const Statement& statement) {
  std::vector<Value> values = eval_all(statement.exprs);
  const InScope scope(*this, scope_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    assign(statement.targets[i], values[i]);
  }
  return exec_body(statement.bodies[0]);
}

Interpreter::Flow Interpreter::exec_captured(const Statement& statement) {
  Value text;
  Flow flow;
  {
    Capture output(*this);
    const InScope scope(*this, scope_);
    flow = exec_body(statement.bodies[0]);
    text = heap_.string(output.take());
    if (statement.filter) text = eval_filter(*statement.filter, &text);
  }
  if (statement.kind == StatementKind::kSetBlock) {
    assign(statement.targets[0], text);
  } else {
    write(heap_.str(text));
  }
  return flow;
}

std::vector<Value> Interpreter::loop_items(const Statement& statement,
                                           const Value& items) {
  if (items.is_undefined() || items.string() || items.dict() ||
      items.sequence()) {
    auto all = heap_.iterate(items);
    if (!statement.filter) return all;
    std::vector<Value> chosen;
    for (auto& each : all) {
      const InScope scope(*this, scope_);
      assign(statement.targets[0], each);
      if (heap_.truth(eval(*statement.filter))) chosen.push_back(each);
    }
    return chosen;
  }
  throw Failure{"'" + type_name(items) + "' object is not iterable"};
}

Interpreter::Flow Interpreter::exec_for(const Statement& statement,
                                        const Value& items, std::size_t depth) {
  auto loop = std::make_shared<Loop>();
  loop->items = loop_items(statement, items);
  loop->level = depth;
  loop->statement = statement.recursive ? &statement : nullptr;
  if (statement.recursive) loop->scope = scope_;
  for (const auto& each : loop->items) {
    loop->nesting = std::max(loop->nesting, each.depth() + 1);
  }
  const Value loop_value =
      heap_.object(loop, loop->items.size() * sizeof(Value));
  const Loop::Finally finally(*loop);
  bool completed = false;
  for (; loop->index < loop->items.size(); ++loop->index) {
    heap_.step();
    const InScope scope(*this, scope_);
    scope_->variables.emplace("loop", loop_value);
    assign(statement.targets[0], loop->items[loop->index]);
    const Flow flow = exec_body(statement.bodies[0]);
    if (flow == Flow::kBreak) break;
    completed |= flow == Flow::kNormal;
  }
  // As in Jinja2, `else` runs unless a pass came to its end.
  if (completed || statement.bodies.size() < 2) return Flow::kNormal;
  const InScope scope(*this, scope_);
  return exec_body(statement.bodies[1]);
}

Value Interpreter::call_loop(const Statement& loop, const ScopePtr& scope,
                             const Value& items, std::size_t depth) {
  Capture output(*this);
  const InScope inner(*this, scope);
  exec_for(loop, items, depth);
  return heap_.string(output.take());
}

Value Interpreter::make_macro(const Statement& statement, std::string name) {
  auto macro = std::make_shared<Macro>();
  macro->statement = &statement;
  macro->name = std::move(name);
  macro->scope = scope_;
  heap_.keep(scope_);
  return heap_.object(std::move(macro));
}

void Interpreter::exec_call_block(const Statement& statement) {
  const Value caller = make_macro(statement, "caller");
  const Expr& call = *statement.exprs[0];
  write(heap_.str(eval_call(call, &caller)));
}

Value Interpreter::call_macro(const Statement& macro, const std::string& name,
                              const ScopePtr& scope, const Args& args) {
  const Depth guard(*this);
  const Signature& signature = macro.signature;
  const std::size_t count = signature.names.size();
  std::vector<std::optional<Value>> values(count);
  for (std::size_t i = 0; i < std::min(count, args.positional.size()); ++i) {
    values[i] = args.positional[i];
  }
  Pairs more_named;
  std::optional<Value> caller;
  for (const auto& [key, value] : args.named) {
    const auto at = static_cast<std::size_t>(
        std::find(signature.names.begin(), signature.names.end(), key) -
        signature.names.begin());
    if (at < count && !values[at]) {
      values[at] = value;
    } else if (key == "caller" && signature.uses_caller) {
      caller = value;
    } else if (signature.uses_kwargs) {
      more_named.emplace_back(heap_.string(key), value);
    } else {
      throw Failure{"macro '" + name + "' takes no keyword argument '" + key +
                    "'"};
    }
  }
  std::vector<Value> more;
  if (args.positional.size() > count) {
    if (!signature.uses_varargs) {
      throw Failure{"macro '" + name + "' takes not more than " +
                    std::to_string(count) + " argument(s)"};
    }
    more.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(count),
                args.positional.end());
  }
  Capture output(*this);
  const InScope inner(*this, scope);
  auto& variables = scope_->variables;
  if (signature.uses_caller) {
    variables["caller"] =
        caller ? *caller : heap_.undefined("No caller defined");
  }
  if (signature.uses_kwargs) {
    variables["kwargs"] = heap_.dict(std::move(more_named));
  }
  if (signature.uses_varargs) {
    variables["varargs"] = heap_.tuple(std::move(more));
  }
  const std::size_t first_default = count - signature.defaults.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& each = signature.names[i];
    if (values[i]) {
      variables[each] = *values[i];
    } else if (i >= first_default) {
      Value value = eval(*signature.defaults[i - first_default]);
      variables[each] = std::move(value);
    } else {
      variables[each] =
          heap_.undefined("parameter '" + each + "' was not provided");
    }
  }
  exec_body(macro.bodies[0]);
  return heap_.string(output.take());
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.attribute.empty()) {
    const Value* holder = lookup(target.name);
    auto* space = holder ? dynamic_cast<Namespace*>(holder->object()) : nullptr;
    if (!space) {
      throw Failure{"cannot assign attribute on non-namespace object"};
    }
    space->attributes.insert_or_assign(target.attribute, value);
    return;
  }
  if (!target.is_tuple) {
    scope_->variables.insert_or_assign(target.name, value);
    return;
  }
  if (value.is_undefined() || value.string() || value.dict() ||
      value.sequence()) {
    const auto items = heap_.iterate(value);
    const std::size_t expected = target.parts.size();
    if (items.size() != expected) {
      throw Failure{
          std::string(items.size() < expected ? "not enough" : "too many") +
          " values to unpack (expected " + std::to_string(expected) + ", got " +
          std::to_string(items.size()) + ")"};
    }
    for (std::size_t i = 0; i < expected; ++i) {
      assign(target.parts[i], items[i]);
    }
    return;
  }
  throw Failure{"cannot unpack non-iterable " + type_name(value) + " object"};
}

}  // namespace skua::jinja
