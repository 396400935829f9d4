#include <charconv>
#include <cmath>

#include "text/jinja_parser_state.h"

namespace skua::jinja {
namespace {

/** Value of digits in base 2, 8, 10 or 16; false where it does not fit. */
bool read_int(std::string_view text, Int& value) {
  int base = 10;
  if (text.size() > 2 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 32);
    base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    if (base != 10) text.remove_prefix(2);
  }
  std::uint64_t small = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, small, base);
  value = Int{small};
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

ExprPtr Parser::parse_number() {
  const Token& token = next();
  auto node = make(ExprKind::kConst, token.offset);
  if (token.kind == TokenKind::kInteger) {
    Int value = 0;
    if (!read_int(token.text, value)) {
      fail("the integer does not fit 64 bits", token.offset);
    }
    node->constant = value;
    return node;
  }
  double value = 0;
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (std::from_chars(begin, end, value).ec != std::errc()) {
    const bool tiny = token.text.starts_with("0.") ||
                      token.text.find("e-") != std::string::npos ||
                      token.text.find("E-") != std::string::npos;
    value = tiny ? 0.0 : HUGE_VAL;
  }
  node->constant = value;
  return node;
}

ExprPtr Parser::parse_string() {
  auto node = make(ExprKind::kConst, current().offset);
  std::string text;
  while (current().kind == TokenKind::kString) text += next().text;
  node->constant = constant_string(std::move(text));
  return node;
}

ExprPtr Parser::parse_primary() {
  const Token& token = current();
  if (token.kind == TokenKind::kName) {
    ++at_;
    auto node = make(ExprKind::kConst, token.offset);
    if (token.text == "true" || token.text == "True") {
      node->constant = true;
    } else if (token.text == "false" || token.text == "False") {
      node->constant = false;
    } else if (token.text != "none" && token.text != "None") {
      node->kind = ExprKind::kName;
      node->name = token.text;
      for (auto* signature : signatures_) {
        signature->uses_caller |= token.text == "caller";
        signature->uses_varargs |= token.text == "varargs";
        signature->uses_kwargs |= token.text == "kwargs";
      }
    }
    return node;
  }
  if (token.kind == TokenKind::kString) return parse_string();
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) {
    return parse_number();
  }
  if (take_op("(")) {
    auto node = parse_tuple(true, true);
    expect_op(")");
    return node;
  }
  if (is_op("[")) return parse_list();
  if (is_op("{")) return parse_dict();
  fail("unexpected '" + describe() + "'");
}

bool Parser::at_tuple_end(std::string_view end_name) const {
  return current().kind == TokenKind::kVariableEnd ||
         current().kind == TokenKind::kBlockEnd || is_op(")") ||
         (!end_name.empty() && is_name(end_name));
}

ExprPtr Parser::parse_tuple(bool with_condition, bool in_parentheses,
                            std::string_view end_name) {
  const std::uint32_t offset = current().offset;
  auto tuple = make(ExprKind::kTuple, offset);
  for (bool comma = false;; comma = true) {
    if (comma) expect_op(",");
    if (at_tuple_end(end_name)) {
      if (!comma && !in_parentheses) {
        fail("Expected an expression, got '" + describe() + "'");
      }
      return tuple;
    }
    auto each = parse_expression(with_condition);
    if (!comma && !is_op(",")) return each;
    add(*tuple, std::move(each));
    if (!is_op(",")) return tuple;
  }
}

ExprPtr Parser::parse_list() {
  auto list = make(ExprKind::kList, current().offset);
  expect_op("[");
  while (!is_op("]")) {
    if (!list->children.empty()) expect_op(",");
    if (is_op("]")) break;
    add(*list, parse_expression());
  }
  expect_op("]");
  return list;
}

ExprPtr Parser::parse_dict() {
  auto dict = make(ExprKind::kDict, current().offset);
  expect_op("{");
  while (!is_op("}")) {
    if (!dict->children.empty()) expect_op(",");
    if (is_op("}")) break;
    add(*dict, parse_expression());
    expect_op(":");
    add(*dict, parse_expression());
  }
  expect_op("}");
  return dict;
}

}  // namespace skua::jinja
