#pragma once

#include "base/json.h"

namespace skua::bench {

struct MachineOptions {
  /** A memory of 128 MiB and few, short trials: rough, in a second or two. */
  bool quick = false;
  /** The read bandwidth of all threads alone. */
  bool bandwidth_only = false;
};

/** What the machine is and its measured limits: `bandwidth`, a list of GB/s
 *  by threads and kind of pages, and `peaks`, a list of 1e9 operations per
 *  second by instruction. Each has best and median. */
Json describe_machine(const MachineOptions& options);

}  // namespace skua::bench
