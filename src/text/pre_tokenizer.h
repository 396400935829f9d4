#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "text/regex.h"

namespace skua {

/** A part of the text on its way to the model. */
struct TextPiece {
  std::string text;
  std::int32_t id = -1;      // of an added token, which is final
  bool starts_text = false;  // begins where the whole input begins
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
struct ByteLevel {
  bool add_prefix_space = false;
  bool use_regex = true;
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
  using Step =
      std::variant<SplitByRegex, SplitByChar, SplitWords, ByteLevel, Metaspace>;

  void add(Step step);
  bool is_byte_level() const { return byte_level_; }
  void apply(std::vector<TextPiece>& pieces) const;

 private:
  std::vector<Step> steps_;
  bool byte_level_ = false;
};

/** GPT-2's own split pattern. */
extern const char* const kGpt2Pattern;

/** The character that stands for a byte in byte-level vocabularies, as
 *  UTF-8, and the byte of a character, or -1. Source: openai/gpt-2. */
const std::string& byte_level_char(std::uint8_t byte);
int byte_level_byte(char32_t code);

}  // namespace skua
