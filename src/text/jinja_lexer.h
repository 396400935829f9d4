#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace skua::jinja {

/** A fault of a template or of what it did, before the place is known. */
struct Failure {
  std::string message;
};

/** A fault with the place in the source. */
struct PlacedFailure {
  std::string message;
  std::uint32_t offset;
};

enum class TokenKind : std::uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::uint32_t offset;  // in the normalised source
  std::string text;      // strings unescaped, numbers without '_'
};

/** Line ends as '\n', one line end at the end of the text dropped. */
std::string normalise_source(std::string_view source);

/** Tokens of a normalised template with trim_blocks and lstrip_blocks on, as
 *  Hugging Face renders chat templates; ends with kEnd. Throws PlacedFailure.
 *  Source: the Jinja2 3.1 lexer. */
std::vector<Token> tokenize(std::string_view source);

}  // namespace skua::jinja
