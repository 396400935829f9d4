#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "skua/error.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

// The input is a tokenizer.json, then behind a NUL a text to encode. Whatever
// loads must encode and decode without a crash, to whole UTF-8.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), size);
  const std::string_view text = split < size
                                    ? input.substr(split + 1)
                                    : std::string_view("a \xc3\xa9 <s>");
  try {
    const auto tokenizer =
        skua::parse_tokenizer_json(input.substr(0, split), "fuzz");
    auto ids = tokenizer->encode(text.substr(0, 256));
    for (const auto id : ids) tokenizer->token_bytes(id);
    const auto part = text.substr(0, 64);
    for (const auto& encoding :
         {tokenizer->encode_with_offsets(part, {.limit = false}),
          tokenizer->encode_pair(part, "b c", {.limit = false})})
      for (const auto& offset : encoding.offsets)
        if (offset.begin > offset.end ||
            offset.end > std::max(part.size(), 3ul))
          __builtin_trap();
    ids.push_back(0);
    ids.push_back(tokenizer->size());
    const std::string decoded = tokenizer->decode(ids);
    if (skua::find_invalid_utf8(decoded) != std::string::npos) __builtin_trap();
  } catch (const skua::Error&) {
  }
  return 0;
}
