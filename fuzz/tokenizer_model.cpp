#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz/memory_file.h"
#include "skua/error.h"
#include "text/rank_file.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using namespace std::string_view_literals;

std::shared_ptr<const skua::Tokenizer> load(char kind, std::string_view bytes) {
  using namespace skua;
  const auto own = [](TokenizerParts parts) {
    return std::make_shared<const Tokenizer>(std::move(parts));
  };
  if (kind == 's')
    return own(build_sentencepiece(read_sentencepiece(bytes, "fuzz")));
  if (kind == 'r')
    return own(build_ranked(read_rank_file(bytes, "fuzz"), {}, {}));
  if (kind == 't') return own(parse_tekken(bytes, "fuzz"));
  const fuzz::MemoryFile file(
      reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return load_tokenizer(GgufFile(file.path()));
}

}  // namespace

// The first byte says what the rest is: a SentencePiece model, a rank file, a
// tekken.json, else a GGUF file. Whatever loads must encode and decode without
// a crash, to whole UTF-8.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = load(input[0], input.substr(1));
    for (const auto text : {"a \xc3\xa9 <s>  b\n12"sv, " "sv,
                            "\xe2\x96\x81x\0y\xf0\x9f\x98\x80"sv}) {
      const auto encoding = tokenizer->encode_with_offsets(text);
      for (const auto& offset : encoding.offsets)
        if (offset.begin > offset.end || offset.end > text.size())
          __builtin_trap();
      auto ids = encoding.ids;
      for (const auto id : ids) tokenizer->token_bytes(id);
      ids.push_back(0);
      ids.push_back(tokenizer->size());
      const std::string decoded = tokenizer->decode(ids);
      if (skua::find_invalid_utf8(decoded) != std::string::npos)
        __builtin_trap();
    }
  } catch (const skua::Error&) {
  }
  return 0;
}
