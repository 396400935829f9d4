#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace skua {

/** A token and the bytes of its piece that it stands for. */
struct Token {
  std::int32_t id = -1;
  std::uint32_t begin = 0, end = 0;
};

/** Turns one piece of text, not empty, into tokens. */
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /** Appends to `tokens`. Throws InvalidInput for a text that has no tokens
   *  (no unknown token in the vocabulary). */
  virtual void encode(std::string_view piece,
                      std::vector<Token>& tokens) const = 0;
};

}  // namespace skua
