#pragma once

#include "skua/precision.h"

namespace skua {

/** While one lives, the functions of kernels/ that this thread calls build
 *  products whose rows have the same bits for any number of rows: what checks
 *  guesses has to compute as the step that would have made the token. */
class DeterministicScope {
 public:
  DeterministicScope() { ++depth(); }
  ~DeterministicScope() { --depth(); }
  DeterministicScope(const DeterministicScope&) = delete;
  DeterministicScope& operator=(const DeterministicScope&) = delete;

  /** `precision`, or the next more exact one that is deterministic. */
  static Precision limit(Precision precision) {
    const bool varies = precision != Precision::kExact &&
                        precision != Precision::kDeterministic;
    return depth() > 0 && varies ? Precision::kDeterministic : precision;
  }

 private:
  static int& depth() {
    static thread_local int depth = 0;
    return depth;
  }
};

}  // namespace skua
