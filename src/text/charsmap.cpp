#include "text/charsmap.h"

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;)
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

// The fields of a unit of the double array.
bool has_leaf(std::uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
std::uint32_t value_of(std::uint32_t unit) {
  return unit & 0x7fffffff;
}
std::uint32_t label_of(std::uint32_t unit) {
  return unit & 0x800000ff;
}
std::uint32_t offset_of(std::uint32_t unit) {
  return unit >> 10 << ((unit >> 9 & 1) * 8);
}

}  // namespace

Charsmap::Charsmap(std::string_view blob, const std::string& where) {
  if (blob.size() < 4)
    throw InvalidInput(where, "is too short, got " +
                                  std::to_string(blob.size()) +
                                  " bytes, expected at least 4");
  const std::size_t n_trie = read_u32(blob, 0);
  if (n_trie % 4 != 0 || n_trie > blob.size() - 4)
    throw InvalidInput(where, "names a trie of " + std::to_string(n_trie) +
                                  " bytes, expected a multiple of 4 up to " +
                                  std::to_string(blob.size() - 4));
  units_.reserve(n_trie / 4);
  for (std::size_t at = 4; at < 4 + n_trie; at += 4)
    units_.push_back(read_u32(blob, at));
  replacements_ = blob.substr(4 + n_trie);
  const std::size_t invalid = find_invalid_utf8(replacements_);
  if (invalid != std::string_view::npos)
    throw InvalidInput(where, "has replacements that are not UTF-8 at byte " +
                                  std::to_string(invalid));
}

Charsmap::Match Charsmap::search(std::string_view text, bool first) const {
  Match match;
  if (units_.empty()) return match;
  std::size_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_leaf(unit) || node >= units_.size()) continue;
    const std::size_t begin = value_of(units_[node]);
    // A match ends where a character does, and its text starts where one does.
    const bool ends_char = i + 1 == text.size() || (text[i + 1] & 0xc0) != 0x80;
    if (!ends_char || begin > replacements_.size()) continue;
    std::string_view with = std::string_view(replacements_).substr(begin);
    with = with.substr(0, with.find('\0'));
    if (!with.empty() && (with[0] & 0xc0) == 0x80) continue;
    match = {i + 1, with};
    if (first) break;
  }
  return match;
}

}  // namespace skua
