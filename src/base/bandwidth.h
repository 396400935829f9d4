#pragma once

#include <cstddef>

#include "base/trials.h"

namespace skua {

struct BandwidthOptions {
  int n_threads = 1;
  std::size_t n_mib = 1024;
  int n_trials = 9;
  /** Asks for huge pages, else forbids them as in a mapped file. */
  bool huge_pages = true;
};

/** GB/s (1e9 bytes) at which threads that start together read their parts of
 *  memory that was written before. Throws Error where there is not enough. */
Rate read_bandwidth(const BandwidthOptions& options);

}  // namespace skua
