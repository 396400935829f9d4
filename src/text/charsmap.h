#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** SentencePiece's precompiled table of replacements: a double-array trie of
 *  texts and what stands for each.
 *  Source: google/sentencepiece, normalizer.cc; s-yata/darts-clone. */
class Charsmap {
 public:
  /** `blob` is a 32-bit size of the trie in bytes, the trie, then the
   *  replacements, each ended by NUL. Throws InvalidInput, with `where`, if
   *  it is cut or a replacement is not UTF-8. */
  Charsmap(std::string_view blob, const std::string& where);

  struct Match {
    std::size_t n_bytes = 0;  // 0: there is none
    std::string_view text;
  };
  /** The longest text of the table that `text` starts with. */
  Match longest(std::string_view text) const { return search(text, false); }
  /** The shortest one. */
  Match shortest(std::string_view text) const { return search(text, true); }

 private:
  Match search(std::string_view text, bool first) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace skua
