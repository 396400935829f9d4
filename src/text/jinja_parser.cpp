#include "text/jinja_parser.h"

#include "text/jinja_parser_state.h"

namespace skua::jinja {

Body parse_template(std::string_view source) {
  return Parser(tokenize(source)).parse();
}

[[noreturn]] void Parser::fail(const std::string& message) const {
  fail(message, current().offset);
}

[[noreturn]] void Parser::fail(const std::string& message,
                               std::uint32_t at) const {
  throw PlacedFailure{message, at};
}

std::string Parser::describe() const {
  switch (current().kind) {
    case TokenKind::kEnd:
      return "end of template";
    case TokenKind::kVariableEnd:
      return "end of print statement";
    case TokenKind::kBlockEnd:
      return "end of statement block";
    case TokenKind::kString:
      return "string";
    default:
      return current().text;
  }
}

bool Parser::is_op(std::string_view op) const {
  return current().kind == TokenKind::kOperator && current().text == op;
}

bool Parser::is_name(std::string_view name) const {
  return current().kind == TokenKind::kName && current().text == name;
}

bool Parser::take_op(std::string_view op) {
  const bool found = is_op(op);
  if (found) ++at_;
  return found;
}

bool Parser::take_name(std::string_view name) {
  const bool found = is_name(name);
  if (found) ++at_;
  return found;
}

void Parser::expect_op(std::string_view op) {
  if (!take_op(op)) {
    fail("expected token '" + std::string(op) + "', got '" + describe() + "'");
  }
}

std::string Parser::expect_name() {
  if (current().kind != TokenKind::kName) {
    fail("expected token 'name', got '" + describe() + "'");
  }
  return next().text;
}

ExprPtr Parser::make(ExprKind kind, std::uint32_t offset) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->offset = offset;
  return expr;
}

ExprPtr Parser::make(ExprKind kind, std::uint32_t offset, ExprPtr a,
                     ExprPtr b) const {
  auto expr = make(kind, offset);
  add(*expr, std::move(a));
  if (b) add(*expr, std::move(b));
  return expr;
}

void Parser::deepen(Expr& parent, const Expr& child) const {
  if (child.depth >= kMaxExprDepth) {
    fail("the expression is nested too deep", parent.offset);
  }
  parent.depth = std::max(parent.depth, child.depth + 1);
}

void Parser::add(Expr& parent, ExprPtr child) const {
  if (child) deepen(parent, *child);
  parent.children.push_back(std::move(child));
}

ExprPtr Parser::parse_expression(bool with_condition) {
  const Nesting guard(*this);
  return with_condition ? parse_condition() : parse_or();
}

ExprPtr Parser::parse_condition() {
  auto value = parse_or();
  while (is_name("if")) {
    const std::uint32_t offset = next().offset;
    auto test = parse_or();
    ExprPtr other;
    if (take_name("else")) other = parse_expression();
    auto expr =
        make(ExprKind::kIfElse, offset, std::move(test), std::move(value));
    add(*expr, std::move(other));
    value = std::move(expr);
  }
  return value;
}

ExprPtr Parser::parse_or() {
  auto left = parse_and();
  while (is_name("or")) {
    const std::uint32_t offset = next().offset;
    left = make(ExprKind::kOr, offset, std::move(left), parse_and());
  }
  return left;
}

ExprPtr Parser::parse_and() {
  auto left = parse_not();
  while (is_name("and")) {
    const std::uint32_t offset = next().offset;
    left = make(ExprKind::kAnd, offset, std::move(left), parse_not());
  }
  return left;
}

ExprPtr Parser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Nesting guard(*this);
  const std::uint32_t offset = next().offset;
  return make(ExprKind::kNot, offset, parse_not());
}

ExprPtr Parser::parse_compare() {
  auto left = parse_sum();
  ExprPtr chain;
  for (;;) {
    std::string op;
    const std::uint32_t offset = current().offset;
    for (const char* each : {"==", "!=", "<", "<=", ">", ">="}) {
      if (is_op(each)) op = each;
    }
    if (is_name("in")) op = "in";
    if (is_name("not") && peek().kind == TokenKind::kName &&
        peek().text == "in") {
      op = "not in";
      ++at_;
    }
    if (op.empty()) break;
    ++at_;
    if (!chain) chain = make(ExprKind::kCompare, offset, std::move(left));
    add(*chain, parse_sum());
    chain->ops.push_back(std::move(op));
  }
  return chain ? std::move(chain) : std::move(left);
}

ExprPtr Parser::parse_sum() {
  auto left = parse_concat();
  while (is_op("+") || is_op("-")) {
    left = binary(std::move(left), &Parser::parse_concat);
  }
  return left;
}

ExprPtr Parser::parse_concat() {
  auto first = parse_product();
  if (!is_op("~")) return first;
  auto concat = make(ExprKind::kConcat, current().offset, std::move(first));
  while (take_op("~")) add(*concat, parse_product());
  return concat;
}

ExprPtr Parser::parse_product() {
  auto left = parse_power();
  while (is_op("*") || is_op("/") || is_op("//") || is_op("%")) {
    left = binary(std::move(left), &Parser::parse_power);
  }
  return left;
}

ExprPtr Parser::parse_power() {
  auto left = parse_unary(true);
  while (is_op("**")) {
    const Token& op = next();
    auto expr =
        make(ExprKind::kBinary, op.offset, std::move(left), parse_unary(true));
    expr->name = op.text;
    left = std::move(expr);
  }
  return left;
}

ExprPtr Parser::binary(ExprPtr left, ExprPtr (Parser::*operand)()) {
  const Token& op = next();
  auto expr =
      make(ExprKind::kBinary, op.offset, std::move(left), (this->*operand)());
  expr->name = op.text;
  return expr;
}

ExprPtr Parser::parse_unary(bool with_filter) {
  const Nesting guard(*this);
  ExprPtr expr;
  if (is_op("-") || is_op("+")) {
    const Token& op = next();
    expr = make(op.text == "-" ? ExprKind::kNegative : ExprKind::kPositive,
                op.offset, parse_unary(false));
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filter ? parse_filters_and_tests(std::move(expr))
                     : std::move(expr);
}

ExprPtr Parser::parse_postfix(ExprPtr expr) {
  for (;;) {
    if (is_op(".") || is_op("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (is_op("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr expr) {
  for (;;) {
    if (is_op("|")) {
      expr = parse_filter(std::move(expr), false);
    } else if (is_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (is_op("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr Parser::parse_subscript(ExprPtr expr) {
  const Token& token = next();
  if (token.text == ".") {
    if (current().kind == TokenKind::kName) {
      auto node = make(ExprKind::kAttribute, token.offset, std::move(expr));
      node->name = next().text;
      return node;
    }
    if (current().kind != TokenKind::kInteger) fail("expected name or number");
    return make(ExprKind::kItem, token.offset, std::move(expr), parse_number());
  }
  auto tuple = make(ExprKind::kTuple, token.offset);
  while (!is_op("]")) {
    if (!tuple->children.empty()) expect_op(",");
    add(*tuple, parse_subscribed());
  }
  expect_op("]");
  if (tuple->children.size() == 1) tuple = std::move(tuple->children[0]);
  return make(ExprKind::kItem, token.offset, std::move(expr), std::move(tuple));
}

ExprPtr Parser::parse_subscribed() {
  const std::uint32_t offset = current().offset;
  ExprPtr start;
  if (!is_op(":")) {
    start = parse_expression();
    if (!is_op(":")) return start;
  }
  expect_op(":");
  const auto ends = [&] { return is_op("]") || is_op(","); };
  ExprPtr stop, step;
  if (!is_op(":") && !ends()) stop = parse_expression();
  if (take_op(":") && !ends()) step = parse_expression();
  auto slice = make(ExprKind::kSlice, offset);
  add(*slice, std::move(start));
  add(*slice, std::move(stop));
  add(*slice, std::move(step));
  return slice;
}

void Parser::parse_arguments(Expr& call) {
  const std::uint32_t offset = current().offset;
  const auto ensure = [&](bool holds) {
    if (!holds) fail("invalid syntax for function call expression", offset);
  };
  const auto argument = [&] {
    auto value = parse_expression();
    deepen(call, *value);
    return value;
  };
  expect_op("(");
  for (bool first = true; !is_op(")"); first = false) {
    if (!first) {
      expect_op(",");
      if (is_op(")")) break;
    }
    if (take_op("*")) {
      ensure(!call.more_positional && !call.more_named);
      call.more_positional = argument();
    } else if (take_op("**")) {
      ensure(!call.more_named);
      call.more_named = argument();
    } else if (current().kind == TokenKind::kName &&
               peek().kind == TokenKind::kOperator && peek().text == "=") {
      ensure(!call.more_named);
      std::string name = next().text;
      ++at_;
      call.named.emplace_back(std::move(name), argument());
    } else {
      ensure(!call.more_positional && !call.more_named && call.named.empty());
      call.positional.push_back(argument());
    }
  }
  expect_op(")");
}

ExprPtr Parser::parse_call(ExprPtr callee) {
  auto call = make(ExprKind::kCall, current().offset, std::move(callee));
  parse_arguments(*call);
  return call;
}

std::string Parser::dotted_name() {
  std::string name = expect_name();
  while (take_op(".")) name += "." + expect_name();
  return name;
}

ExprPtr Parser::parse_filter(ExprPtr expr, bool starts_inline) {
  while (starts_inline || is_op("|")) {
    if (!starts_inline) ++at_;
    auto filter = make(ExprKind::kFilter, current().offset);
    add(*filter, std::move(expr));
    filter->name = dotted_name();
    if (is_op("(")) parse_arguments(*filter);
    expr = std::move(filter);
    starts_inline = false;
  }
  return expr;
}

ExprPtr Parser::parse_test(ExprPtr expr) {
  const std::uint32_t offset = next().offset;
  const bool negated = take_name("not");
  auto test = make(ExprKind::kTest, offset, std::move(expr));
  test->name = dotted_name();
  const Token& token = current();
  const bool literal =
      token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
      token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat ||
      is_op("[") || is_op("{");
  if (is_op("(")) {
    parse_arguments(*test);
  } else if (literal && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("You cannot chain multiple tests with is");
    auto argument = parse_postfix(parse_primary());
    deepen(*test, *argument);
    test->positional.push_back(std::move(argument));
  }
  return negated ? make(ExprKind::kNot, offset, std::move(test))
                 : std::move(test);
}

}  // namespace skua::jinja
