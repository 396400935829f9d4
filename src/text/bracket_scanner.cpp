#include "text/bracket_scanner.h"

namespace skua {
namespace {

// The strings' quotes besides those of one character.
std::string_view long_quote(LiteralSyntax syntax) {
  if (syntax == LiteralSyntax::kGemma4) return kGemma4Quote;
  if (syntax == LiteralSyntax::kGemma) return kGemmaQuote;
  return {};
}

bool may_become(std::string_view text, std::string_view mark) {
  return text.size() < mark.size() && mark.starts_with(text);
}

char closing_bracket(char c, LiteralSyntax syntax) {
  if (c == '{') return '}';
  if (c == '[') return ']';
  return c == '(' && syntax == LiteralSyntax::kPython ? ')' : '\0';
}

bool is_closing(char c, LiteralSyntax syntax) {
  return c == '}' || c == ']' || (c == ')' && syntax == LiteralSyntax::kPython);
}

// What JSON does not have outside its strings ends the search early.
bool may_be_outside(char c, LiteralSyntax syntax) {
  if (syntax != LiteralSyntax::kJson) return true;
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view(",:-+.E").find(c) != std::string_view::npos;
}

}  // namespace

BracketScanner::Result BracketScanner::scan(std::string_view text,
                                            std::size_t& at) {
  while (at < text.size()) {
    const auto rest = text.substr(at);
    if (may_become(rest, quote_.empty() ? long_quote(syntax_) : quote_))
      return Result::kMore;
    const Result result = quote_.empty() ? outside(rest, at) : inside(rest, at);
    if (result != Result::kMore) return result;
  }
  return Result::kMore;
}

BracketScanner::Result BracketScanner::inside(std::string_view rest,
                                              std::size_t& at) {
  if (!rest.starts_with(quote_)) {
    at += rest[0] == '\\' && quote_.size() == 1 ? 2 : 1;
    return Result::kMore;
  }
  at += quote_.size();
  quote_ = {};
  return open_.empty() ? Result::kDone : Result::kMore;
}

BracketScanner::Result BracketScanner::outside(std::string_view rest,
                                               std::size_t& at) {
  const char c = rest[0];
  const auto mark = long_quote(syntax_);
  if (!mark.empty() && rest.starts_with(mark)) {
    quote_ = mark;
  } else if (c == '"') {
    quote_ = "\"";
  } else if (c == '\'' && syntax_ == LiteralSyntax::kPython) {
    quote_ = "'";
  }
  if (!quote_.empty()) {
    at += quote_.size();
    return Result::kMore;
  }
  if (const char close = closing_bracket(c, syntax_)) {
    if (open_.size() == kMaxLiteralDepth + kMaxCallDepth)
      return Result::kBroken;
    open_ += close;
  } else if (is_closing(c, syntax_)) {
    if (open_.empty() || open_.back() != c) return Result::kBroken;
    open_.pop_back();
    ++at;
    return open_.empty() ? Result::kDone : Result::kMore;
  } else if (!is_json_space(c) &&
             (open_.empty() || !may_be_outside(c, syntax_))) {
    return Result::kBroken;
  }
  ++at;
  return Result::kMore;
}

}  // namespace skua
