#include <array>

#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr char32_t kFirstMapped = 0x100;

bool maps_to_itself(char32_t code) {
  return (code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xac) ||
         (code >= 0xae && code <= 0xff);
}

struct ByteTable {
  std::array<std::string, 256> chars;
  std::array<std::uint8_t, 256> mapped{};  // byte of kFirstMapped + i
  int n_mapped = 0;

  ByteTable() {
    for (int byte = 0; byte < 256; ++byte) {
      char32_t code = static_cast<char32_t>(byte);
      if (!maps_to_itself(code)) {
        mapped[static_cast<std::size_t>(n_mapped)] =
            static_cast<std::uint8_t>(byte);
        code = kFirstMapped + static_cast<char32_t>(n_mapped++);
      }
      append_utf8(chars[static_cast<std::size_t>(byte)], code);
    }
  }
};

const ByteTable& byte_table() {
  static const ByteTable table;
  return table;
}

}  // namespace

const std::string& byte_level_char(std::uint8_t byte) {
  return byte_table().chars[byte];
}

int byte_level_byte(char32_t code) {
  if (maps_to_itself(code)) return static_cast<int>(code);
  const ByteTable& table = byte_table();
  if (code < kFirstMapped ||
      code >= kFirstMapped + static_cast<char32_t>(table.n_mapped))
    return -1;
  return table.mapped[code - kFirstMapped];
}

std::string spell_bytes(std::string_view bytes) {
  std::string spelled;
  spelled.reserve(bytes.size() * 2);
  for (const char c : bytes)
    spelled += byte_level_char(static_cast<std::uint8_t>(c));
  return spelled;
}

}  // namespace skua
