#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace skua {

/** Turns one piece of text, UTF-8 and not empty, into ids. */
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual void encode(std::string_view piece,
                      std::vector<std::int32_t>& ids) const = 0;
};

}  // namespace skua
