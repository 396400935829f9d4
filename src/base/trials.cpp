#include "base/trials.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <thread>

namespace skua {

Rate summarize(std::vector<double> rates) {
  std::ranges::sort(rates);
  return {rates.back(), rates[rates.size() / 2]};
}

std::vector<double> time_together(int n_threads, int n_trials,
                                  const std::function<void(int)>& work) {
  using Clock = std::chrono::steady_clock;
  struct Span {
    Clock::time_point begin, end;
  };
  std::vector<std::vector<Span>> spans(n_threads);
  for (auto& of_thread : spans) of_thread.resize(n_trials + 1);
  std::barrier gate(n_threads);
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < n_threads; ++id) {
      threads.emplace_back([&, id] {
        for (Span& span : spans[id]) {
          gate.arrive_and_wait();
          span.begin = Clock::now();
          work(id);
          span.end = Clock::now();
        }
      });
    }
  }
  std::vector<double> seconds;
  for (int trial = 1; trial <= n_trials; ++trial) {
    Span all = spans[0][trial];
    for (const auto& of_thread : spans) {
      all.begin = std::min(all.begin, of_thread[trial].begin);
      all.end = std::max(all.end, of_thread[trial].end);
    }
    seconds.push_back(
        std::chrono::duration<double>(all.end - all.begin).count());
  }
  return seconds;
}

}  // namespace skua
