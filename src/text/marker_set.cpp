#include "text/marker_set.h"

namespace skua {

void MarkerSet::add(Marker marker, bool border_only) {
  if (marker.text.empty()) return;
  first_[static_cast<unsigned char>(marker.text[0])] = true;
  entries_.push_back({marker, border_only});
}

const Marker* MarkerSet::match(std::string_view text, MarkerPlace place,
                               bool& undecided) const {
  undecided = false;
  for (const auto& [marker, border_only] : entries_) {
    if (border_only && !place.at_border) continue;
    if (marker.kind == MarkerKind::kAfterCall && !place.after_call) continue;
    if (text.starts_with(marker.text)) return &marker;
    undecided |= marker.text.starts_with(text);
  }
  return nullptr;
}

}  // namespace skua
