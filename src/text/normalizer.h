#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "text/aligned_text.h"
#include "text/charsmap.h"
#include "text/regex.h"
#include "text/trie.h"

namespace skua {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

struct NormalizeUnicode {
  UnicodeForm form;
};
struct Lowercase {};
struct StripAccents {};
struct StripSpace {
  bool left, right;
};
struct Prepend {
  std::string text;
};
struct Append {
  std::string text;
};
struct ReplaceAll {
  std::shared_ptr<const Regex> pattern;
  std::string text;
};
/** BERT's: no control characters, plain spaces, Chinese characters apart. */
struct BertClean {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};
/** SentencePiece's cleaning for machine translation. */
struct NmtClean {};
/** SentencePiece's table of replacements, applied to grapheme clusters. */
struct MapChars {
  std::shared_ptr<const Charsmap> map;
};
/** The whole of SentencePiece's own normalizer but the mark in front: at each
 *  place the longest text of the table is replaced, the texts of `fixed` stay
 *  as they are, and spaces become `mark`. */
struct SentencePieceRules {
  std::shared_ptr<const Charsmap> map;  // may be null
  std::shared_ptr<const Trie> fixed;
  bool remove_extra_spaces = true;  // at the ends, and behind another
  std::string mark = " ";
};
/** GPT-2's characters for bytes. */
struct SpellBytes {};

/** Rewrites a text before it is split, one step after the other.
 *  Source: huggingface/tokenizers, normalizers/. */
class Normalizer {
 public:
  using Step = std::variant<NormalizeUnicode, Lowercase, StripAccents,
                            StripSpace, Prepend, Append, ReplaceAll, BertClean,
                            NmtClean, MapChars, SentencePieceRules, SpellBytes>;

  void add(Step step);
  bool empty() const { return steps_.empty(); }
  /** Throws InvalidInput where the text grows beyond all measure. */
  AlignedText apply(AlignedText text) const;
  std::string apply(std::string_view text) const;

 private:
  std::vector<Step> steps_;
};

/** `text` in a Unicode normalization form. */
AlignedText normalize_unicode(AlignedText text, UnicodeForm form);

/** Single steps. */
AlignedText map_clusters(const AlignedText& text, const Charsmap& map);
AlignedText apply_rules(const AlignedText& text,
                        const SentencePieceRules& rules);

/** `text` with every match of `pattern` replaced by `with`. Throws
 *  InvalidInput where it grows beyond all measure. */
AlignedText replace_matches(AlignedText text, const Regex& pattern,
                            std::string_view with);
std::string replace_matches(std::string_view text, const Regex& pattern,
                            std::string_view with);

}  // namespace skua
