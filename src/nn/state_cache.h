#pragma once

#include <mlx/array.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nn/batch.h"

namespace skua {

namespace mx = mlx::core;

/** What a recurrent layer remembers of each sequence: a few arrays, which
 *  every step replaces as a whole. A state cannot be cut, so a sequence goes
 *  back only to lengths whose state was kept: where the newest step began,
 *  where its drafted rows began, and where it was marked. Keeping one copies
 *  nothing. */
class StateCache {
 public:
  /** Marks of a sequence; a further one takes the place of the oldest. */
  static constexpr int kMostMarks = 2;

  /** Array `slot` of the state after `position` tokens; none after 0.
   *  Throws Error where that state was not kept. */
  std::optional<mx::array> get(int sequence, int position, int slot) const;
  /** Slots are set in order, from 0. */
  void set(int sequence, int position, int slot, const mx::array& value);
  /** All arrays of that state; empty where it was not kept. */
  std::vector<mx::array> find(int sequence, int position) const;

  /** Before a step: forgets what it makes anew, and what precedes it but for
   *  marked states. */
  void begin(const Segment& segment);
  /** Forgets what follows `length` tokens. */
  void trim(int sequence, int length);
  /** Keeps the state after `position` tokens, if it is there, for longer. */
  void mark(int sequence, int position);
  /** The greatest length up to `length` that the sequence can go back to;
   *  `length` itself where the layer has no state of it. */
  int trim_point(int sequence, int length) const;
  /** The lengths whose states are kept, for people: "3, 17". */
  std::string lengths(int sequence) const;

  void remove(int sequence) { sequences_.erase(sequence); }
  void fork(int from, int to, int length);
  void append_arrays(std::vector<mx::array>& arrays) const;
  std::size_t n_bytes() const;

 private:
  struct Snapshot {
    std::vector<mx::array> arrays;
    bool marked = false;
  };
  using Snapshots = std::map<int, Snapshot>;  // by tokens before

  std::map<int, Snapshots> sequences_;
};

}  // namespace skua
