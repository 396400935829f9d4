#include <string>
#include <string_view>

#include "text/pre_tokenizer.h"

namespace skua {
namespace {

// All but those of Chinese and Japanese, which count as one, and Common.
constexpr std::string_view kScripts[] = {"Latin",
                                         "Cyrillic",
                                         "Greek",
                                         "Arabic",
                                         "Hebrew",
                                         "Devanagari",
                                         "Hangul",
                                         "Thai",
                                         "Inherited",
                                         "Adlam",
                                         "Ahom",
                                         "AnatolianHieroglyphs",
                                         "Armenian",
                                         "Avestan",
                                         "Balinese",
                                         "Bamum",
                                         "BassaVah",
                                         "Batak",
                                         "Bengali",
                                         "Bhaiksuki",
                                         "Bopomofo",
                                         "Brahmi",
                                         "Braille",
                                         "Buginese",
                                         "Buhid",
                                         "CanadianAboriginal",
                                         "Carian",
                                         "CaucasianAlbanian",
                                         "Chakma",
                                         "Cham",
                                         "Cherokee",
                                         "Coptic",
                                         "Cuneiform",
                                         "Cypriot",
                                         "Deseret",
                                         "Duployan",
                                         "EgyptianHieroglyphs",
                                         "Elbasan",
                                         "Ethiopic",
                                         "Georgian",
                                         "Glagolitic",
                                         "Gothic",
                                         "Grantha",
                                         "Gujarati",
                                         "Gurmukhi",
                                         "Hanunoo",
                                         "Hatran",
                                         "ImperialAramaic",
                                         "InscriptionalPahlavi",
                                         "InscriptionalParthian",
                                         "Javanese",
                                         "Kaithi",
                                         "Kannada",
                                         "KayahLi",
                                         "Kharoshthi",
                                         "Khmer",
                                         "Khojki",
                                         "Khudawadi",
                                         "Lao",
                                         "Lepcha",
                                         "Limbu",
                                         "LinearA",
                                         "LinearB",
                                         "Lisu",
                                         "Lycian",
                                         "Lydian",
                                         "Mahajani",
                                         "Malayalam",
                                         "Mandaic",
                                         "Manichaean",
                                         "Marchen",
                                         "MeeteiMayek",
                                         "MendeKikakui",
                                         "MeroiticCursive",
                                         "MeroiticHieroglyphs",
                                         "Miao",
                                         "Modi",
                                         "Mongolian",
                                         "Mro",
                                         "Multani",
                                         "Myanmar",
                                         "Nabataean",
                                         "NewTaiLue",
                                         "Newa",
                                         "Nko",
                                         "Ogham",
                                         "OlChiki",
                                         "OldHungarian",
                                         "OldItalic",
                                         "OldNorthArabian",
                                         "OldPermic",
                                         "OldPersian",
                                         "OldSouthArabian",
                                         "OldTurkic",
                                         "Oriya",
                                         "Osage",
                                         "Osmanya",
                                         "PahawhHmong",
                                         "Palmyrene",
                                         "PauCinHau",
                                         "PhagsPa",
                                         "Phoenician",
                                         "PsalterPahlavi",
                                         "Rejang",
                                         "Runic",
                                         "Samaritan",
                                         "Saurashtra",
                                         "Sharada",
                                         "Shavian",
                                         "Siddham",
                                         "SignWriting",
                                         "Sinhala",
                                         "SoraSompeng",
                                         "Sundanese",
                                         "SylotiNagri",
                                         "Syriac",
                                         "Tagalog",
                                         "Tagbanwa",
                                         "TaiLe",
                                         "TaiTham",
                                         "TaiViet",
                                         "Takri",
                                         "Tamil",
                                         "Tangut",
                                         "Telugu",
                                         "Thaana",
                                         "Tibetan",
                                         "Tifinagh",
                                         "Tirhuta",
                                         "Ugaritic",
                                         "Vai",
                                         "WarangCiti",
                                         "Yi"};

// A run of one script: a space or a character without one ends it no sooner
// than the next script does.
std::string run_of(const std::string& script) {
  return script + "(?:[ \\p{sc:Unknown}]|" + script + ")*";
}

std::string make_pattern() {
  std::string pattern =
      run_of("[\\p{sc:Han}\\p{sc:Hiragana}\\p{sc:Katakana}\\x{30fc}]");
  pattern += "|" + run_of("(?![ \\x{30fc}])\\p{sc:Common}");
  for (const auto script : kScripts)
    pattern += "|" + run_of("\\p{sc:" + std::string(script) + "}");
  return pattern;
}

}  // namespace

SplitByRegex split_by_script() {
  static const auto pattern =
      std::make_shared<const Regex>(make_pattern(), "script pattern");
  // What stands in front of the first script is dropped, as in the reference.
  return {pattern, SplitBehavior::kRemoved, true};
}

}  // namespace skua
