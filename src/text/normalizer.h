#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "text/regex.h"

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
struct ReplaceAll {
  std::shared_ptr<const Regex> pattern;
  std::string text;
};

/** Rewrites a text before it is split, one step after the other.
 *  Source: huggingface/tokenizers, normalizers/. */
class Normalizer {
 public:
  using Step = std::variant<NormalizeUnicode, Lowercase, StripAccents,
                            StripSpace, Prepend, ReplaceAll>;

  void add(Step step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  std::string apply(std::string text) const;

 private:
  std::vector<Step> steps_;
};

/** `text` with every match of `pattern` replaced by `with`. */
std::string replace_matches(std::string_view text, const Regex& pattern,
                            std::string_view with);

}  // namespace skua
