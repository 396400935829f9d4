#include "text/marker_set.h"

#include <algorithm>

namespace skua {

void MarkerSet::add(Marker marker, bool border_only) {
  if (marker.text.empty()) return;
  first_[static_cast<unsigned char>(marker.text[0])] = true;
  entries_.push_back({marker, border_only});
}

const Marker* MarkerSet::match(std::string_view text, MarkerPlace place,
                               bool& undecided) const {
  const Marker* longest = nullptr;
  std::size_t longest_partial = 0;
  for (const auto& [marker, border_only] : entries_) {
    if (border_only && !place.at_border) continue;
    if (marker.kind == MarkerKind::kAfterCall && !place.after_call) continue;
    if (text.starts_with(marker.text)) {
      if (!longest || marker.text.size() > longest->text.size())
        longest = &marker;
    } else if (marker.text.starts_with(text)) {
      longest_partial = std::max(longest_partial, marker.text.size());
    }
  }
  undecided = longest_partial > (longest ? longest->text.size() : 0);
  return longest;
}

}  // namespace skua
