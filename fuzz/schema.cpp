#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "skua/error.h"
#include "tests/unit/text/grammar_support.h"
#include "text/grammar.h"

// The input is a kind of grammar, its source, then behind a NUL the bytes of
// an answer. Whatever compiles is followed without a crash, and each byte is
// taken just where the mask allows it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static skua::test::ByteGrammars grammars({"\"a", "\":", "true", "},"});
  if (size == 0) return 0;
  const std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto split = std::min(input.find('\0'), input.size());
  skua::Grammar grammar;
  grammar.kind = static_cast<skua::Grammar::Kind>(data[0] % 5);
  grammar.source = input.substr(0, std::min<std::size_t>(split, 4096));
  grammar.choices = {grammar.source, grammar.source + "a"};
  try {
    skua::GrammarMatcher matcher(grammars.compiler.compile(grammar));
    for (std::size_t i = split + 1; i < std::min(input.size(), split + 64);
         ++i) {
      const auto id = static_cast<unsigned char>(input[i]);
      const auto bits = grammars.mask(matcher);
      const bool allowed = bits[id / 32] >> (id % 32) & 1;
      if (matcher.accept(id) != allowed) __builtin_trap();
      if (!allowed) break;
    }
    matcher.forced_text();
    if (matcher.is_over() && !matcher.can_end()) __builtin_trap();
  } catch (const skua::Error&) {
  }
  return 0;
}
