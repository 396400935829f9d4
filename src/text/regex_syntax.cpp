#include <algorithm>
#include <array>

#include "base/quote.h"
#include "skua/error.h"
#include "text/regex.h"

namespace skua {
namespace {

constexpr std::string_view kSpace = "\\p{Z}\\x{09}-\\x{0d}\\x{85}";
// Circled and squared letters are in it, other numbers only up to U+00FF.
constexpr std::string_view kWord =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
    "\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}"
    "\\x{1f170}-\\x{1f189}";
constexpr std::string_view kHex = "0-9A-Fa-f";

// Names of \p{...} that are not scripts and that PCRE2 knows as they are.
constexpr std::array<std::string_view, 12> kBinaryProperties = {
    "alphabetic", "any",        "ascii",    "lowercase",
    "uppercase",  "whitespace", "emoji",    "ideographic",
    "dash",       "math",       "hexdigit", "extendedpictographic"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 9>
    kLongNames = {{{"letter", "L"},
                   {"mark", "M"},
                   {"number", "N"},
                   {"punctuation", "P"},
                   {"punct", "P"},
                   {"symbol", "S"},
                   {"separator", "Z"},
                   {"other", "C"},
                   {"digit", "Nd"}}};

// Patterns that cut digits in threes from their end look ahead to it in each
// three, which takes quadratic time. Their equals look once: three digits right
// behind a match are another (\G), and digits without a match are skipped
// together.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3>
    kLinearEquals = {{
        {R"(\d{1,3}(?=(?:\d{3})*\b))",
         R"(\G(?<=\d)\d{3}|\d{1,3}(?=(?:\d{3})*+\b)|\d++(*SKIP)(*FAIL))"},
        {R"(\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})))",
         R"(\G(?<=\p{Nd})\p{Nd}{3}|\p{Nd}{1,3}(?=(?:\p{Nd}{3})*+(?!\p{Nd})))"},
        {R"((?=(\d{3})+(?!\d)))",
         R"(\G(?<=\d)\d\d\K(?=\d)|(?=(?:\d{3})++(?!\d)))"},
    }};

// Spaces cut in pieces of at most 512, of which each looks for a line break up
// to the last. Its equal looks once: there is none behind a piece.
constexpr std::string_view kPieces = R"(|\s*[\r\n]+|\s{512}(?!\S)|)";
constexpr std::string_view kLinearPieces =
    R"(|(?<![^\S\r\n])\s*[\r\n]+|\s{512}(?!\S)|)";

std::string linear_equal(std::string_view pattern) {
  for (const auto& [slow, fast] : kLinearEquals)
    if (pattern == slow) return std::string(fast);
  std::string equal(pattern);
  if (const auto at = equal.find(kPieces); at != equal.npos)
    equal.replace(at, kPieces.size(), kLinearPieces);
  return equal;
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      if (pattern_[at_] == '\\')
        escape();
      else if (in_class_)
        class_char();
      else
        plain_char();
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Unsupported(
        where_, "regular expression " + quote(pattern_) + " uses " + what);
  }

  bool next_is(std::string_view text) const {
    return pattern_.substr(at_).starts_with(text);
  }

  void copy(std::size_t n) {
    out_ += pattern_.substr(at_, n);
    at_ += n;
  }

  void set(std::string_view members, bool negated) {
    if (in_class_ && !negated) out_ += members;
    if (!in_class_) out_ += (negated ? "[^" : "[") + std::string(members) + "]";
    at_ += 2;
  }

  void escape() {
    const char kind = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    const std::string word(kWord);
    switch (kind) {
      case 's':
        return set(kSpace, false);
      case 'w':
        return set(kWord, false);
      case 'h':
        return set(kHex, false);
      case 'S':
        // Inside a class PCRE2's own differs in U+180E alone.
        return in_class_ ? copy(2) : set(kSpace, true);
      case 'W':
      case 'H':
        if (in_class_) refuse("a negated set inside a class");
        return set(kind == 'W' ? kWord : kHex, true);
      case 'b':
        if (in_class_) return copy(2);
        out_ += "(?:(?<=[" + word + "])(?![" + word + "])|(?<![" + word +
                "])(?=[" + word + "]))";
        at_ += 2;
        return;
      case 'p':
      case 'P':
        return property();
      case 'Q':
      case 'E':
        refuse("quoting");
      default:
        return copy(std::min<std::size_t>(2, pattern_.size() - at_));
    }
  }

  // \p{Han} is the script in Oniguruma, the script extensions in PCRE2.
  void property() {
    const std::size_t close = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' ||
        close == std::string_view::npos)
      return copy(2);
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    std::string key;
    for (const char c : name)
      if (c != '_' && c != '-' && c != ' ')
        key += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    std::string meaning(name);
    const auto* known =
        std::find_if(kLongNames.begin(), kLongNames.end(),
                     [&](const auto& entry) { return entry.first == key; });
    if (known != kLongNames.end())
      meaning = known->second;
    else if (key.size() > 2 && key.find_first_of(":=&") == key.npos &&
             std::find(kBinaryProperties.begin(), kBinaryProperties.end(),
                       key) == kBinaryProperties.end())
      meaning = "sc:" + meaning;
    out_ += pattern_.substr(at_, 2);
    out_ += (negated ? "{^" : "{") + meaning + "}";
    at_ = close + 1;
  }

  void class_char() {
    if (next_is("&&")) refuse("an intersection of classes");
    if (pattern_[at_] == '[') {
      const std::size_t close = pattern_.find(":]", at_);
      if (!next_is("[:") || close == std::string_view::npos)
        refuse("a class inside a class");
      return copy(close + 2 - at_);
    }
    if (pattern_[at_] == ']') in_class_ = false;
    copy(1);
  }

  void plain_char() {
    if (next_is("[")) {
      in_class_ = true;
      copy(next_is("[^") ? 2 : 1);
      // A bracket right at the start is a member.
      if (next_is("]")) copy(1);
      return;
    }
    // Oniguruma repeats the interval, PCRE2 makes it possessive.
    if (next_is("}+")) refuse("'+' behind an interval");
    if (next_is("(?m") || next_is("(?-m") || next_is("(?im"))
      refuse("the option m");
    copy(1);
  }

  std::string_view pattern_;
  const std::string& where_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

std::string to_pcre2(std::string_view pattern, const std::string& where) {
  return Translator(linear_equal(pattern), where).run();
}

}  // namespace skua
