#include <utf8proc.h>

#include <array>
#include <map>

#include "text/pattern.h"

namespace skua {
namespace {

constexpr int kCategories = 30;

// The ranges of each category, in utf8proc's numbering.
const std::array<CharSet, kCategories>& categories() {
  static const auto sets = [] {
    std::array<std::vector<CharRange>, kCategories> ranges;
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
      auto& list =
          ranges.at(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
      if (!list.empty() && list.back().high + 1 == c) {
        list.back().high = c;
      } else {
        list.push_back({c, c});
      }
    }
    std::array<CharSet, kCategories> result;
    for (int i = 0; i < kCategories; ++i) result[i] = CharSet(ranges[i]);
    return result;
  }();
  return sets;
}

// Short names by long ones (Unicode's PropertyValueAliases).
const std::map<std::string_view, std::string_view> kLongNames = {
    {"Letter", "L"},
    {"Cased_Letter", "LC"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
};

}  // namespace

std::optional<CharSet> pattern_class(char32_t letter) {
  static const CharSet digits({{'0', '9'}});
  static const CharSet word({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  static const CharSet space({{'\t', '\r'},
                              {' ', ' '},
                              {0xA0, 0xA0},
                              {0x1680, 0x1680},
                              {0x2000, 0x200A},
                              {0x2028, 0x2029},
                              {0x202F, 0x202F},
                              {0x205F, 0x205F},
                              {0x3000, 0x3000},
                              {0xFEFF, 0xFEFF}});
  switch (letter) {
    case 'd':
      return digits;
    case 'D':
      return digits.complement();
    case 'w':
      return word;
    case 'W':
      return word.complement();
    case 's':
      return space;
    case 'S':
      return space.complement();
    default:
      return std::nullopt;
  }
}

CharSet pattern_dot() {
  static const CharSet ends({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
  return ends.complement();
}

std::optional<CharSet> pattern_category(std::string_view name) {
  for (const std::string_view prefix : {"gc=", "General_Category="})
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  if (name == "Any") return CharSet::any();
  if (name == "ASCII") return CharSet({{0, 0x7F}});
  const auto found = kLongNames.find(name);
  if (found != kLongNames.end()) name = found->second;
  CharSet result;
  bool known = false;
  for (int i = 0; i < kCategories; ++i) {
    const std::string_view own = utf8proc_category_string(
        // A character of that category has its name.
        categories()[i].empty()
            ? 0xD800
            : static_cast<utf8proc_int32_t>(categories()[i].ranges()[0].low));
    const bool cased = own == "Lu" || own == "Ll" || own == "Lt";
    if (own != name && own.substr(0, 1) != name && !(name == "LC" && cased))
      continue;
    known = true;
    result = result | categories()[i];
  }
  if (!known) return std::nullopt;
  return result;
}

}  // namespace skua
