#pragma once

#include <string>
#include <string_view>

namespace skua {

/** `text` in single quotes for an error message: its first 64 bytes, with
 *  everything that is not printable ASCII replaced by '?'. */
std::string quote(std::string_view text);

}  // namespace skua
