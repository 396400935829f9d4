#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skua {

/** The bytes of `text` in standard base64 with padding (RFC 4648, section 4),
 *  or nothing where it is not that. */
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace skua
