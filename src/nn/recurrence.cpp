#include "nn/recurrence.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/oracle_scope.h"

namespace skua {
namespace {

constexpr int kChunk = 64;
constexpr int kLeastChunked = 32;

using Rows = Recurrence::Rows;

Rows slice_rows(const Rows& rows, int first, int n) {
  Rows part;
  for (const mx::array& x : rows) {
    mx::Shape from(x.ndim(), 0), to = x.shape();
    from[0] = first;
    to[0] = first + n;
    part.push_back(mx::slice(x, from, to));
  }
  return part;
}

Rows take_rows(const Rows& rows, const std::vector<std::int32_t>& places) {
  if (places.size() == 1) return slice_rows(rows, places[0], 1);
  const mx::array at(places.begin(), {static_cast<int>(places.size())},
                     mx::int32);
  Rows part;
  for (const mx::array& x : rows) part.push_back(mx::take(x, at, 0));
  return part;
}

/** A run over one batch. */
class Run {
 public:
  Run(const Recurrence& recurrence, const Rows& rows, const Batch& batch,
      StateCache& states, int slot)
      : recurrence_(recurrence),
        rows_(rows),
        batch_(batch),
        states_(states),
        slot_(slot) {}

  mx::array result() {
    for (const Segment& s : batch_.segments) {
      now_.push_back(
          states_.get(s.sequence, s.position, slot_)
              .value_or(mx::zeros(recurrence_.state_shape, mx::float32)));
      const int n_certain = s.n_rows - s.n_drafted;
      const bool chunked =
          n_certain >= kLeastChunked && !OracleScope::is_active();
      n_done_.push_back(0);
      if (chunked) take_chunks(n_done_.size() - 1, n_certain);
    }
    while (take_step()) {
    }
    const mx::array y = ys_.size() == 1 ? ys_[0] : mx::concatenate(ys_, 0);
    if (std::ranges::is_sorted(order_)) return y;
    std::vector<std::int32_t> places(order_.size());
    for (std::size_t i = 0; i < order_.size(); ++i)
      places[static_cast<std::size_t>(order_[i])] =
          static_cast<std::int32_t>(i);
    return mx::take(y, mx::array(places.begin(), {batch_.n_rows()}, mx::int32),
                    0);
  }

 private:
  void take_chunks(std::size_t i, int n_rows) {
    const Segment& s = batch_.segments[i];
    while (n_done_[i] < n_rows) {
      const int first = s.first_row + n_done_[i];
      const int n = std::min(kChunk, n_rows - n_done_[i]);
      auto [y, state] = recurrence_.chunk(slice_rows(rows_, first, n), now_[i]);
      ys_.push_back(y);
      for (int row = first; row < first + n; ++row) order_.push_back(row);
      n_done_[i] += n;
      now_[i] = state;
    }
    keep(i);
  }

  // The next row of each sequence that has one left.
  bool take_step() {
    std::vector<std::size_t> active;
    std::vector<std::int32_t> places;
    std::vector<mx::array> before;
    for (std::size_t i = 0; i < now_.size(); ++i) {
      const Segment& s = batch_.segments[i];
      if (n_done_[i] == s.n_rows) continue;
      active.push_back(i);
      places.push_back(s.first_row + n_done_[i]);
      before.push_back(now_[i]);
    }
    if (active.empty()) return false;
    const auto [y, after] =
        recurrence_.step(take_rows(rows_, places), mx::stack(before, 0));
    ys_.push_back(y);
    order_.insert(order_.end(), places.begin(), places.end());
    const auto each = mx::split(after, static_cast<int>(active.size()), 0);
    for (std::size_t k = 0; k < active.size(); ++k) {
      now_[active[k]] = mx::reshape(each[k], recurrence_.state_shape);
      ++n_done_[active[k]];
      keep(active[k]);
    }
    return true;
  }

  void keep(std::size_t i) {
    const Segment& s = batch_.segments[i];
    if (std::ranges::count(s.ends(), n_done_[i]) != 0)
      states_.set(s.sequence, s.position + n_done_[i], slot_, now_[i]);
  }

  const Recurrence& recurrence_;
  const Rows& rows_;
  const Batch& batch_;
  StateCache& states_;
  int slot_;
  std::vector<mx::array> now_;  // the state of each segment
  std::vector<int> n_done_;     // its rows so far
  std::vector<mx::array> ys_;
  std::vector<std::int32_t> order_;  // rows of the batch, as ys has them
};

}  // namespace

mx::array run(const Recurrence& recurrence, const Rows& rows,
              const Batch& batch, StateCache& states, int slot) {
  return Run(recurrence, rows, batch, states, slot).result();
}

}  // namespace skua
