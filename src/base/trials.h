#pragma once

#include <functional>
#include <vector>

namespace skua {

/** What a row of repeated measurements says. */
struct Rate {
  double best = 0;
  double median = 0;
};

/** Best and median of rates; at least one is needed. */
Rate summarize(std::vector<double> rates);

/** Calls work(thread) on every one of n_threads at once, n_trials times after
 *  one untimed call. The threads start each trial together.
 *  Returns the seconds from the first start to the last end of each trial. */
std::vector<double> time_together(int n_threads, int n_trials,
                                  const std::function<void(int)>& work);

}  // namespace skua
