#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "text/aligned_text.h"
#include "text/regex.h"

namespace skua {

/** A part [begin, end) of a text on its way to the model. */
struct TextPiece {
  std::uint32_t begin = 0, end = 0;
  std::int32_t id = -1;      // of an added token, which is final
  bool starts_text = false;  // begins where the caller's text begins
};

/** A text cut into pieces, left to right. */
struct Document {
  std::string_view view(const TextPiece& piece) const {
    return std::string_view(text.text).substr(piece.begin,
                                              piece.end - piece.begin);
  }

  AlignedText text;
  std::vector<TextPiece> pieces;
};

/** What happens to the matches of a pattern when a text is split. */
enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};
enum class PrependScheme { kFirst, kNever, kAlways };

struct SplitByRegex {
  std::shared_ptr<const Regex> pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};
/** Splits at characters of a property, e.g. is_punctuation. */
struct SplitByChar {
  bool (*matches)(char32_t);
  SplitBehavior behavior;
};
/** Letters and digits, other runs, no white space: \w+|[^\w\s]+. */
struct SplitWords {};
/** Pieces of `n_chars` characters, the last may be shorter. */
struct SplitLength {
  std::size_t n_chars = 5;
};
struct ByteLevel {
  bool add_prefix_space = false;
  bool use_regex = true;
  bool spell = true;  // false: the model takes the bytes themselves
};
struct Metaspace {
  std::string replacement;
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;
};

/** Cuts texts into the pieces that the model encodes one by one; steps run
 *  one after the other on all pieces that are not added tokens.
 *  Source: huggingface/tokenizers, pre_tokenizers/. */
class PreTokenizer {
 public:
  using Step = std::variant<SplitByRegex, SplitByChar, SplitWords, SplitLength,
                            ByteLevel, Metaspace>;

  void add(Step step);
  bool is_byte_level() const { return byte_level_; }
  bool ends_in_byte_level() const;
  /** Makes that last step leave the bytes as they are. */
  void leave_bytes();
  void apply(Document& document) const;

 private:
  std::vector<Step> steps_;
  bool byte_level_ = false;
};

/** GPT-2's own split pattern. */
extern const char* const kGpt2Pattern;

/** The step that cuts where the script changes; Han, Hiragana and Katakana
 *  count as one. */
SplitByRegex split_by_script();

/** The character that stands for a byte in byte-level vocabularies, as
 *  UTF-8, and the byte of a character, or -1. Source: openai/gpt-2. */
const std::string& byte_level_char(std::uint8_t byte);
int byte_level_byte(char32_t code);

/** `bytes` in those characters. */
std::string spell_bytes(std::string_view bytes);

}  // namespace skua
