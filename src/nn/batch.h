#pragma once

#include <mlx/array.h>

#include <vector>

namespace skua {

namespace mx = mlx::core;

/** Which rows the result of a layer holds. */
enum class ResultRows { kAll, kOutput };

/** Rows of the flat token axis that continue one sequence. */
struct Segment {
  int sequence = 0;  // its number in the Cache
  int first_row = 0;
  int n_rows = 0;
  int position = 0;   // of its first row in the sequence
  int n_drafted = 0;  // of its rows, the last: the sequence may go back to
                      // where they begin

  /** How many rows precede each place that the sequence may go on from. */
  std::vector<int> ends() const {
    return n_drafted == 0 ? std::vector{n_rows}
                          : std::vector{n_rows - n_drafted, n_rows};
  }
};

/** One step: tokens [T] of any number of sequences side by side, without
 *  padding, and the rows whose logits are wanted. */
struct Batch {
  std::vector<Segment> segments;
  std::vector<int> output_rows;
  /** kOutput for the last layer: what mixes rows sees all of them, what
   *  follows is computed for output_rows alone. */
  ResultRows result = ResultRows::kAll;

  int n_rows() const {
    return segments.empty()
               ? 0
               : segments.back().first_row + segments.back().n_rows;
  }

  /** Appends n_rows tokens of a sequence that has `position` before them. */
  void add(int sequence, int position, int n_rows) {
    segments.push_back({sequence, this->n_rows(), n_rows, position});
  }

  /** Asks for the logits of the last row added. */
  void want_last() { output_rows.push_back(n_rows() - 1); }

  Batch with_result(ResultRows rows) const {
    Batch batch = *this;
    batch.result = rows;
    return batch;
  }
};

/** x [T, ...] -> [output_rows.size(), ...]: the rows whose logits the batch
 *  wants. */
mx::array output_rows(const mx::array& x, const Batch& batch);

/** x [T, ...] -> the rows of it that the result of the layer holds. */
mx::array result_rows(const mx::array& x, const Batch& batch);

}  // namespace skua
