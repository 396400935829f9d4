#include "base/quote.h"

#include <algorithm>

namespace skua {
namespace {

constexpr std::size_t kMaxShown = 64;

}  // namespace

std::string quote(std::string_view text) {
  std::string shown(text.substr(0, kMaxShown));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; },
      '?');
  if (text.size() > kMaxShown) shown += "...";
  return "'" + shown + "'";
}

}  // namespace skua
