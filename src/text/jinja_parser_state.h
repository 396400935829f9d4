#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace skua::jinja {

/** Recursive descent over the tokens of one template. */
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Body parse();

 private:
  static constexpr std::uint32_t kMaxExprDepth = 200;
  static constexpr int kMaxNesting = 100;

  /** Counts how deep the parser itself is. */
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (parser.nesting_ >= 2 * kMaxNesting) {
        parser.fail("the template is nested too deep");
      }
      ++parser_.nesting_;
    }
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  const Token& current() const { return tokens_[at_]; }
  const Token& peek() const {
    return tokens_[std::min(at_ + 1, tokens_.size() - 1)];
  }
  const Token& next() {
    const Token& token = tokens_[at_];
    if (token.kind != TokenKind::kEnd) ++at_;
    return token;
  }
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail(const std::string& message, std::uint32_t at) const;
  std::string describe() const;
  bool is_op(std::string_view op) const;
  bool is_name(std::string_view name) const;
  bool take_op(std::string_view op);
  bool take_name(std::string_view name);
  void expect_op(std::string_view op);
  std::string expect_name();
  void expect_kind(TokenKind kind, const char* what);

  ExprPtr make(ExprKind kind, std::uint32_t offset) const;
  ExprPtr make(ExprKind kind, std::uint32_t offset, ExprPtr a,
               ExprPtr b = nullptr) const;
  void deepen(Expr& parent, const Expr& child) const;
  void add(Expr& parent, ExprPtr child) const;

  ExprPtr parse_expression(bool with_condition = true);
  ExprPtr parse_condition();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr binary(ExprPtr left, ExprPtr (Parser::*operand)());
  ExprPtr parse_unary(bool with_filter);
  ExprPtr parse_primary();
  ExprPtr parse_number();
  ExprPtr parse_string();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_tuple(bool with_condition, bool in_parentheses,
                      std::string_view end_name = "");
  bool at_tuple_end(std::string_view end_name) const;
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_filters_and_tests(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr expr);
  ExprPtr parse_subscribed();
  ExprPtr parse_call(ExprPtr callee);
  void parse_arguments(Expr& call);
  std::string dotted_name();
  ExprPtr parse_filter(ExprPtr expr, bool starts_inline);
  ExprPtr parse_test(ExprPtr expr);

  using StatementPtr = std::unique_ptr<Statement>;
  Body parse_until(std::initializer_list<std::string_view> ends);
  Body parse_body(std::initializer_list<std::string_view> ends);
  Body parse_whole_body(std::string_view end);
  StatementPtr make(StatementKind kind) const;
  StatementPtr parse_statement();
  StatementPtr parse_set();
  StatementPtr parse_if();
  StatementPtr parse_for();
  StatementPtr parse_with();
  StatementPtr parse_macro();
  StatementPtr parse_call_block();
  StatementPtr parse_generation();
  StatementPtr parse_filter_block();
  StatementPtr parse_block();
  StatementPtr parse_autoescape();
  StatementPtr parse_print();
  StatementPtr parse_loop_control();
  Target parse_target(bool with_namespace);
  Target parse_target_part();
  std::string parse_target_name();
  void parse_signature(Signature& signature);
  Body parse_macro_body(Signature& signature, std::string_view end);

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;
  std::vector<Signature*> signatures_;  // of the macros being parsed
};

}  // namespace skua::jinja
