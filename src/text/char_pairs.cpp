#include "text/char_pairs.h"

#include "text/utf8.h"

namespace skua {

CharPairs::CharPairs(const Vocabulary& vocabulary) : known_(true) {
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view piece = vocabulary.piece(id);
    char32_t left = 0;
    for (std::size_t at = 0; at < piece.size();) {
      const Utf8Char c = utf8_at(piece, at);
      if (at > 0 && left < kAscii && c.code < kAscii)
        ascii_[left * kAscii + c.code] = true;
      else if (at > 0)
        others_.set(std::uint64_t{left} << 32 | c.code, 1);
      left = c.code;
      at += c.n;
    }
  }
}

std::size_t CharPairs::part_end(std::string_view text, std::size_t at) const {
  Utf8Char c = utf8_at(text, at);
  for (at += c.n; at < text.size(); at += c.n) {
    const char32_t left = c.code;
    c = utf8_at(text, at);
    if (!has(left, c.code)) break;
  }
  return at;
}

}  // namespace skua
