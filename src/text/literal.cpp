#include "text/literal.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/json.h"

namespace skua {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         c == '_' || c == '-' || c == '.';
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

// The length of the number at the start of `text`, 0 if there is none.
std::size_t number_length(std::string_view text, bool& is_integer) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const std::size_t digits = at;
  at = skip_digits(text, at);
  if (at == digits || (text[digits] == '0' && at > digits + 1)) return 0;
  is_integer = true;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = at + 1;
    at = skip_digits(text, fraction);
    if (at == fraction) return 0;
    is_integer = false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    std::size_t exponent = at + 1;
    if (exponent < text.size() &&
        (text[exponent] == '-' || text[exponent] == '+'))
      ++exponent;
    at = skip_digits(text, exponent);
    if (at == exponent) return 0;
    is_integer = false;
  }
  return at;
}

bool is_finite_number(std::string_view text) {
  return std::isfinite(std::strtod(std::string(text).c_str(), nullptr));
}

}  // namespace

bool is_json_number(std::string_view text) {
  bool is_integer = false;
  return !text.empty() && number_length(text, is_integer) == text.size() &&
         is_finite_number(text);
}

bool is_json_integer(std::string_view text) {
  bool is_integer = false;
  return !text.empty() && number_length(text, is_integer) == text.size() &&
         is_integer && is_finite_number(text);
}

std::string_view trim_space(std::string_view text) {
  while (!text.empty() && is_json_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_json_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string json_quote(std::string_view text) {
  return dump_json(Json(text));
}

std::string json_object(const std::vector<LiteralMember>& members) {
  std::string json = "{";
  for (const auto& [key, value] : members) {
    if (json.size() > 1) json += ',';
    json += json_quote(key) + ':' + value;
  }
  return json + '}';
}

std::optional<std::string> literal_to_json(std::string_view text,
                                           LiteralSyntax syntax) {
  LiteralReader reader(text, syntax);
  std::string json;
  if (reader.value(json) && reader.at_end()) return json;
  return std::nullopt;
}

void LiteralReader::skip_space() {
  while (at_ < text_.size() && is_json_space(text_[at_])) ++at_;
}

bool LiteralReader::take(std::string_view mark) {
  skip_space();
  if (!text_.substr(at_).starts_with(mark)) return false;
  at_ += mark.size();
  return true;
}

bool LiteralReader::at_end() {
  skip_space();
  return at_ == text_.size();
}

bool LiteralReader::name(std::string& name) {
  skip_space();
  const std::size_t start = at_;
  while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
  name = text_.substr(start, at_ - start);
  return at_ > start;
}

bool LiteralReader::value(std::string& json) {
  skip_space();
  if (at_ == text_.size()) return false;
  const char first = text_[at_];
  if (!opening_quote().empty()) {
    std::string text;
    if (!string(text)) return false;
    json += json_quote(text);
    return true;
  }
  if (!bare_words() && (first == '-' || is_digit(first))) return number(json);
  const bool tuple = first == '(' && syntax_ == LiteralSyntax::kPython;
  if (first != '[' && first != '{' && !tuple) return word(json);
  if (depth_ == kMaxLiteralDepth) return false;
  ++depth_;
  const bool ok = first == '{' ? object(json) : array(json, tuple ? ")" : "]");
  --depth_;
  return ok;
}

bool LiteralReader::array(std::string& json, std::string_view close) {
  ++at_;
  json += '[';
  for (bool first = true; !take(close); first = false) {
    if (!first) {
      if (!take(",")) return false;
      if (syntax_ == LiteralSyntax::kPython && take(close)) break;
      json += ',';
    }
    if (!value(json)) return false;
  }
  json += ']';
  return true;
}

bool LiteralReader::object(std::string& json) {
  std::vector<LiteralMember> all;
  if (!members(all)) return false;
  json += json_object(all);
  return true;
}

bool LiteralReader::members(std::vector<LiteralMember>& members) {
  if (!take("{")) return false;
  for (bool first = true; !take("}"); first = false) {
    if (!first) {
      if (!take(",")) return false;
      if (syntax_ == LiteralSyntax::kPython && take("}")) break;
    }
    LiteralMember member;
    if (!key(member.key) || !take(":") || !value(member.json)) return false;
    members.push_back(std::move(member));
  }
  return true;
}

bool LiteralReader::key(std::string& key) {
  skip_space();
  if (!opening_quote().empty()) return string(key);
  if (!bare_words()) return false;
  const std::size_t end = text_.find_first_of(":{}[],", at_);
  if (end == std::string_view::npos || text_[end] != ':') return false;
  key = trim_space(text_.substr(at_, end - at_));
  at_ = end;
  return !key.empty();
}

bool LiteralReader::bare_words() const {
  return syntax_ == LiteralSyntax::kGemma4 || syntax_ == LiteralSyntax::kGemma;
}

// true, false, null; what else Gemma leaves without quotes is a number or a
// string.
bool LiteralReader::word(std::string& json) {
  struct Word {
    std::string_view spelling, json;
  };
  constexpr Word kWords[] = {{"true", "true"},   {"false", "false"},
                             {"null", "null"},   {"True", "true"},
                             {"False", "false"}, {"None", "null"}};
  std::size_t end = at_;
  if (!bare_words()) {
    while (end < text_.size() && is_name_char(text_[end])) ++end;
  } else {
    end = std::min(text_.find_first_of("{}[],", at_), text_.size());
  }
  const auto spelling = trim_space(text_.substr(at_, end - at_));
  at_ = end;
  const bool json_only = syntax_ == LiteralSyntax::kJson;
  for (std::size_t i = 0; i < (json_only ? 3 : std::size(kWords)); ++i) {
    if (kWords[i].spelling != spelling) continue;
    json += kWords[i].json;
    return true;
  }
  if (!bare_words() || spelling.empty()) return false;
  json += is_json_number(spelling) ? spelling : json_quote(spelling);
  return true;
}

bool LiteralReader::number(std::string& json) {
  bool is_integer = false;
  const auto rest = text_.substr(at_);
  const auto spelling = rest.substr(0, number_length(rest, is_integer));
  const std::size_t end = at_ + spelling.size();
  const bool ends = end == text_.size() || !is_name_char(text_[end]);
  if (spelling.empty() || !ends || !is_finite_number(spelling)) return false;
  json += spelling;
  at_ = end;
  return true;
}

}  // namespace skua
