#pragma once

#include <cstddef>

namespace skua {

/** Bounds what a thread computes while it lives: compiling a grammar is made
 *  of small steps whose number the source does not show. */
class WorkLimit {
 public:
  explicit WorkLimit(std::size_t steps);
  ~WorkLimit();
  WorkLimit(const WorkLimit&) = delete;
  WorkLimit& operator=(const WorkLimit&) = delete;

  /** Takes steps of some 100 ns from this thread's limit, if there is one.
   *  Throws Unsupported when none are left. */
  static void spend(std::size_t steps);

 private:
  std::size_t left_;
  WorkLimit* outer_;
};

}  // namespace skua
