#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/flat_map.h"

namespace skua {

/** Finds where a text ends that comes in pieces: at the stop string that
 *  starts first, of those that start together at the one given first. How the
 *  text is cut into pieces makes no difference. Time is linear in the text,
 *  whatever the stops; memory is linear in the stops.
 *  Source: Aho and Corasick, "Efficient string matching: an aid to
 *  bibliographic search", CACM 18(6), 1975. */
class StopMatcher {
 public:
  /** Text that is certain to belong to the answer and, with its last piece,
   *  the index of the stop that ended it. */
  struct Found {
    std::string text;
    std::optional<std::size_t> stop;
  };

  /** The stop is cut off with all that follows it; `include_stop` keeps it.
   *  Throws InvalidInput for an empty string, one that is no UTF-8, or more
   *  than 64. */
  explicit StopMatcher(std::vector<std::string> stops,
                       bool include_stop = false);

  /** Takes `text`, whole UTF-8 characters, and returns what is now certain:
   *  all but the longest end that could become a stop. Returns nothing after
   *  a stop was found. */
  Found push(std::string_view text);

  /** What was held back, once no more comes: with a stop if one was complete
   *  and waited for another that had started before it. Returns nothing when
   *  called again. */
  Found finish();

 private:
  // A prefix of stops.
  struct Node {
    std::size_t length = 0;
    // A stop that starts with it.
    std::size_t sample = 0;
    // The longest other prefix that it ends with.
    std::size_t fallback = 0;
    // The longest stop that it ends with, and the first given of those that
    // it starts, itself left out.
    std::size_t ends_with;
    std::size_t first_longer;
  };
  struct Match {
    std::uint64_t start = 0;
    std::size_t stop = 0;
  };

  void add_level(std::size_t length, std::vector<std::size_t>& paths);
  std::size_t next(std::size_t node, char byte) const;
  void note_match();
  bool is_certain() const;
  std::uint64_t start_of(std::size_t node) const;
  Found end(std::size_t held, std::string_view text, std::uint64_t start);
  std::string joined(std::size_t node, std::string_view text,
                     std::size_t n) const;

  std::vector<std::string> stops_;
  bool include_stop_;
  std::vector<Node> nodes_;
  FlatMap edges_;  // node * 256 + byte -> node
  // What is held back is the text of this node: the longest end of the text
  // that starts a stop.
  std::size_t node_ = 0;
  std::uint64_t n_seen_ = 0;
  std::optional<Match> best_;
  bool ended_ = false;
};

}  // namespace skua
