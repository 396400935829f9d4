#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace skua {

enum class MarkerKind {
  kReasoning,     // reasoning begins
  kReasoningEnd,  // and ends
  kCall,          // a call begins
  kBeforeCall,    // dropped before a call
  kAfterCall,     // dropped behind one
  kFrame,         // dropped
};

struct Marker {
  std::string_view text;
  MarkerKind kind;
  std::size_t index = 0;  // in the format's list of that kind
};

/** Where in a message a marker would stand. */
struct MarkerPlace {
  bool at_border;   // a message or a part of it begins here
  bool after_call;  // only white space since a call
};

/** The markers that count in one state of a message. */
class MarkerSet {
 public:
  /** `border_only`: the marker counts at a border alone. */
  void add(Marker marker, bool border_only = false);

  bool may_begin(char c) const { return first_[static_cast<unsigned char>(c)]; }

  /** The first marker that `text` begins with, null if none; no marker may
   *  be the beginning of a longer one. Sets `undecided` where more text could
   *  make it a marker. */
  const Marker* match(std::string_view text, MarkerPlace place,
                      bool& undecided) const;

 private:
  struct Entry {
    Marker marker;
    bool border_only;
  };
  std::vector<Entry> entries_;
  std::array<bool, 256> first_{};
};

}  // namespace skua
