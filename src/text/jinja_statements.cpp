#include "text/jinja_parser_state.h"

namespace skua::jinja {

Body Parser::parse() {
  return parse_until({});
}

std::unique_ptr<Statement> Parser::make(StatementKind kind) const {
  auto statement = std::make_unique<Statement>();
  statement->kind = kind;
  statement->offset = current().offset;
  return statement;
}

void Parser::expect_kind(TokenKind kind, const char* what) {
  if (current().kind != kind) {
    fail(std::string("expected ") + what + ", got '" + describe() + "'");
  }
  ++at_;
}

/** Statements up to a block that opens with one of `ends`, which is left as
 *  the current token; up to the end of the template where there are none. */
Body Parser::parse_until(std::initializer_list<std::string_view> ends) {
  Body body;
  for (;;) {
    switch (current().kind) {
      case TokenKind::kEnd:
        if (ends.size() > 0) {
          fail("unexpected end of template, expected '" +
               std::string(*(ends.end() - 1)) + "'");
        }
        return body;
      case TokenKind::kData:
        body.push_back(make(StatementKind::kText));
        body.back()->text = next().text;
        break;
      case TokenKind::kVariableBegin: {
        auto output = make(StatementKind::kOutput);
        ++at_;
        output->exprs.push_back(parse_tuple(true, false));
        expect_kind(TokenKind::kVariableEnd, "end of print statement");
        body.push_back(std::move(output));
        break;
      }
      default:
        expect_kind(TokenKind::kBlockBegin, "a statement");
        for (const auto end : ends) {
          if (is_name(end)) return body;
        }
        body.push_back(parse_statement());
        expect_kind(TokenKind::kBlockEnd, "end of statement block");
    }
  }
}

Body Parser::parse_body(std::initializer_list<std::string_view> ends) {
  const Nesting guard(*this);
  take_op(":");
  expect_kind(TokenKind::kBlockEnd, "end of statement block");
  return parse_until(ends);
}

Body Parser::parse_whole_body(std::string_view end) {
  auto body = parse_body({end});
  ++at_;
  return body;
}

std::unique_ptr<Statement> Parser::parse_statement() {
  using Parse = StatementPtr (Parser::*)();
  static constexpr std::pair<std::string_view, Parse> kStatements[] = {
      {"set", &Parser::parse_set},
      {"if", &Parser::parse_if},
      {"for", &Parser::parse_for},
      {"with", &Parser::parse_with},
      {"macro", &Parser::parse_macro},
      {"call", &Parser::parse_call_block},
      {"filter", &Parser::parse_filter_block},
      {"generation", &Parser::parse_generation},
      {"break", &Parser::parse_loop_control},
      {"continue", &Parser::parse_loop_control},
      {"print", &Parser::parse_print},
      {"block", &Parser::parse_block},
      {"autoescape", &Parser::parse_autoescape},
  };
  for (const auto& [name, parse] : kStatements) {
    if (is_name(name)) return (this->*parse)();
  }
  for (const char* name : {"include", "import", "from", "extends"}) {
    if (is_name(name)) {
      fail(std::string("'") + name + "' is not supported in chat templates");
    }
  }
  fail("Encountered unknown tag '" + describe() + "'");
}

std::string Parser::parse_target_name() {
  const std::uint32_t offset = current().offset;
  std::string name = expect_name();
  for (const char* constant :
       {"true", "false", "none", "True", "False", "None"}) {
    if (name == constant) fail("can't assign to '" + name + "'", offset);
  }
  return name;
}

Target Parser::parse_target_part() {
  const Nesting guard(*this);
  Target target;
  target.offset = current().offset;
  if (!take_op("(")) {
    target.name = parse_target_name();
    return target;
  }
  target = parse_target(false);
  expect_op(")");
  return target;
}

Target Parser::parse_target(bool with_namespace) {
  Target target;
  target.offset = current().offset;
  if (with_namespace && peek().kind == TokenKind::kOperator &&
      peek().text == ".") {
    target.name = expect_name();
    ++at_;
    target.attribute = expect_name();
    return target;
  }
  target = parse_target_part();
  if (!is_op(",")) return target;
  Target tuple;
  tuple.offset = target.offset;
  tuple.is_tuple = true;
  tuple.parts.push_back(std::move(target));
  while (take_op(",")) {
    if (is_op(")") || is_op("=") || is_name("in")) break;
    tuple.parts.push_back(parse_target_part());
  }
  return tuple;
}

std::unique_ptr<Statement> Parser::parse_set() {
  auto statement = make(StatementKind::kSet);
  ++at_;
  statement->targets.push_back(parse_target(true));
  if (take_op("=")) {
    statement->exprs.push_back(parse_tuple(true, false));
    return statement;
  }
  statement->kind = StatementKind::kSetBlock;
  statement->filter = parse_filter(nullptr, false);
  statement->bodies.push_back(parse_whole_body("endset"));
  return statement;
}

std::unique_ptr<Statement> Parser::parse_if() {
  auto statement = make(StatementKind::kIf);
  do {
    ++at_;
    statement->exprs.push_back(parse_tuple(false, false));
    statement->bodies.push_back(parse_body({"elif", "else", "endif"}));
  } while (is_name("elif"));
  if (next().text == "else") {
    statement->bodies.push_back(parse_whole_body("endif"));
  }
  return statement;
}

std::unique_ptr<Statement> Parser::parse_for() {
  auto statement = make(StatementKind::kFor);
  ++at_;
  statement->targets.push_back(parse_target(false));
  if (!take_name("in")) fail("expected token 'in', got '" + describe() + "'");
  statement->exprs.push_back(parse_tuple(false, false, "recursive"));
  if (take_name("if")) statement->filter = parse_expression();
  statement->recursive = take_name("recursive");
  ++loops_;
  statement->bodies.push_back(parse_body({"else", "endfor"}));
  --loops_;
  if (next().text == "else") {
    statement->bodies.push_back(parse_whole_body("endfor"));
  }
  return statement;
}

std::unique_ptr<Statement> Parser::parse_loop_control() {
  auto statement =
      make(is_name("break") ? StatementKind::kBreak : StatementKind::kContinue);
  if (loops_ == 0) fail("'" + describe() + "' outside a loop");
  ++at_;
  return statement;
}

std::unique_ptr<Statement> Parser::parse_with() {
  auto statement = make(StatementKind::kWith);
  ++at_;
  while (current().kind != TokenKind::kBlockEnd) {
    if (!statement->targets.empty()) expect_op(",");
    statement->targets.push_back(parse_target(false));
    expect_op("=");
    statement->exprs.push_back(parse_expression());
  }
  statement->bodies.push_back(parse_whole_body("endwith"));
  return statement;
}

void Parser::parse_signature(Signature& signature) {
  expect_op("(");
  while (!is_op(")")) {
    if (!signature.names.empty()) expect_op(",");
    signature.names.push_back(parse_target_name());
    if (take_op("=")) {
      signature.defaults.push_back(parse_expression());
    } else if (!signature.defaults.empty()) {
      fail("non-default argument follows default argument");
    }
  }
  expect_op(")");
}

Body Parser::parse_macro_body(Signature& signature, std::string_view end) {
  signatures_.push_back(&signature);
  const int loops = std::exchange(loops_, 0);
  auto body = parse_whole_body(end);
  loops_ = loops;
  signatures_.pop_back();
  return body;
}

std::unique_ptr<Statement> Parser::parse_macro() {
  auto statement = make(StatementKind::kMacro);
  ++at_;
  statement->text = parse_target_name();
  parse_signature(statement->signature);
  statement->bodies.push_back(
      parse_macro_body(statement->signature, "endmacro"));
  return statement;
}

std::unique_ptr<Statement> Parser::parse_call_block() {
  auto statement = make(StatementKind::kCallBlock);
  ++at_;
  if (is_op("(")) parse_signature(statement->signature);
  statement->exprs.push_back(parse_expression());
  if (statement->exprs[0]->kind != ExprKind::kCall) fail("expected call");
  statement->bodies.push_back(
      parse_macro_body(statement->signature, "endcall"));
  return statement;
}

/** Marks the assistant's own text for training; it renders as its body. */
std::unique_ptr<Statement> Parser::parse_generation() {
  auto statement = make(StatementKind::kScope);
  ++at_;
  const int loops = std::exchange(loops_, 0);
  statement->bodies.push_back(parse_whole_body("endgeneration"));
  loops_ = loops;
  return statement;
}

std::unique_ptr<Statement> Parser::parse_filter_block() {
  auto statement = make(StatementKind::kFilterBlock);
  ++at_;
  statement->filter = parse_filter(nullptr, true);
  statement->bodies.push_back(parse_whole_body("endfilter"));
  return statement;
}

std::unique_ptr<Statement> Parser::parse_block() {
  auto statement = make(StatementKind::kScope);
  ++at_;
  const std::string name = expect_name();
  take_name("scoped");
  take_name("required");
  statement->bodies.push_back(parse_whole_body("endblock"));
  take_name(name);
  return statement;
}

std::unique_ptr<Statement> Parser::parse_autoescape() {
  auto statement = make(StatementKind::kScope);
  ++at_;
  const auto mode = parse_expression();
  if (mode->kind != ExprKind::kConst || !mode->constant.boolean() ||
      *mode->constant.boolean()) {
    fail("autoescape is not supported in chat templates", statement->offset);
  }
  statement->bodies.push_back(parse_whole_body("endautoescape"));
  return statement;
}

std::unique_ptr<Statement> Parser::parse_print() {
  auto statement = make(StatementKind::kOutput);
  ++at_;
  while (current().kind != TokenKind::kBlockEnd) {
    if (!statement->exprs.empty()) expect_op(",");
    statement->exprs.push_back(parse_expression());
  }
  return statement;
}

}  // namespace skua::jinja
