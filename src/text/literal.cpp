#include "text/literal.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/json.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

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
  if (first == '-' || is_digit(first)) return number(json);
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
  const bool bare =
      syntax_ == LiteralSyntax::kGemma4 || syntax_ == LiteralSyntax::kGemma;
  if (!bare) return false;
  const std::size_t end = text_.find_first_of(":{}[],", at_);
  if (end == std::string_view::npos || text_[end] != ':') return false;
  key = trim_space(text_.substr(at_, end - at_));
  at_ = end;
  return !key.empty();
}

// true, false, null; what Gemma leaves without quotes is a string.
bool LiteralReader::word(std::string& json) {
  struct Word {
    std::string_view spelling, json;
  };
  constexpr Word kWords[] = {{"true", "true"},   {"false", "false"},
                             {"null", "null"},   {"True", "true"},
                             {"False", "false"}, {"None", "null"}};
  std::size_t end = at_;
  if (syntax_ == LiteralSyntax::kJson || syntax_ == LiteralSyntax::kPython) {
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
  if (json_only || syntax_ == LiteralSyntax::kPython || spelling.empty())
    return false;
  json += json_quote(spelling);
  return true;
}

bool LiteralReader::number(std::string& json) {
  bool is_integer = false;
  const auto rest = text_.substr(at_);
  const auto spelling = rest.substr(0, number_length(rest, is_integer));
  const std::size_t end = at_ + spelling.size();
  const bool ends = end == text_.size() || !is_name_char(text_[end]);
  if (spelling.empty() || !ends || !is_finite_number(spelling)) {
    const bool bare =
        syntax_ == LiteralSyntax::kGemma4 || syntax_ == LiteralSyntax::kGemma;
    return bare && word(json);
  }
  json += spelling;
  at_ = end;
  return true;
}

// The quote that comes next, empty if none does.
std::string_view LiteralReader::opening_quote() const {
  const auto rest = text_.substr(std::min(at_, text_.size()));
  if (syntax_ == LiteralSyntax::kGemma4 && rest.starts_with(kGemma4Quote))
    return kGemma4Quote;
  if (syntax_ == LiteralSyntax::kGemma && rest.starts_with(kGemmaQuote))
    return kGemmaQuote;
  if (syntax_ == LiteralSyntax::kPython && rest.starts_with('\'')) return "'";
  return rest.starts_with('"') ? "\"" : "";
}

bool LiteralReader::string(std::string& text) {
  skip_space();
  const auto quote = opening_quote();
  if (quote.empty()) return false;
  at_ += quote.size();
  text.clear();
  if (quote.size() == 1) return string_between(quote, text);
  const std::size_t end = text_.find(quote, at_);
  if (end == std::string_view::npos) return false;
  text = text_.substr(at_, end - at_);
  at_ = end + quote.size();
  return true;
}

bool LiteralReader::string_between(std::string_view quote, std::string& text) {
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == quote[0]) return true;
    if (c != '\\') {
      text += c;
    } else if (!escape(text)) {
      return false;
    }
  }
  return false;
}

bool LiteralReader::escape(std::string& text) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  if (at_ == text_.size()) return false;
  const char c = text_[at_++];
  if (const auto i = kLetters.find(c); i != std::string_view::npos) {
    text += kValues[i];
    return true;
  }
  if (c == 'u') return unicode_escape(text);
  if (syntax_ != LiteralSyntax::kPython) return false;
  char32_t code = 0;
  if (c == 'x' || c == 'U') {
    if (!code_unit(c == 'x' ? 2 : 8, code)) return false;
    const bool valid = code < 0xD800 || (code > 0xDFFF && code < 0x110000);
    append_utf8(text, valid ? code : kReplacement);
  } else if (c == '\'') {
    text += c;
  } else if (c != '\n') {
    // Python keeps an unknown escape as it is.
    text += '\\';
    text += c;
  }
  return true;
}

bool LiteralReader::code_unit(std::size_t n_digits, char32_t& code) {
  if (text_.size() - at_ < n_digits) return false;
  code = 0;
  for (std::size_t i = 0; i < n_digits; ++i) {
    const char c = text_[at_++];
    const char lower = static_cast<char>(c | 0x20);
    if (is_digit(c)) {
      code = code * 16 + static_cast<char32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      code = code * 16 + static_cast<char32_t>(lower - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

// Half a surrogate pair has no UTF-8 and becomes U+FFFD.
bool LiteralReader::unicode_escape(std::string& text) {
  char32_t code = 0;
  if (!code_unit(4, code)) return false;
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
    const std::size_t back = at_;
    char32_t low = 0;
    at_ += 2;
    if (!code_unit(4, low)) return false;
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else {
      at_ = back;
    }
  }
  append_utf8(text, code >= 0xD800 && code < 0xE000 ? kReplacement : code);
  return true;
}

}  // namespace skua
