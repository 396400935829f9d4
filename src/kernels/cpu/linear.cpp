#include "kernels/cpu/linear.h"

#include <algorithm>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/cpu/bf16_rows.h"
#include "kernels/cpu/linear_grid.h"
#include "kernels/cpu/linear_input.h"

namespace skua::cpu {
namespace {

// The inputs that the matrices of one call need: mostly one for all.
class Inputs {
 public:
  Inputs(const float* x, std::size_t n_tokens) : x_(x), n_tokens_(n_tokens) {}

  const LinearInput& get(const MatrixView& w) {
    for (const auto& input : inputs_)
      if (input->serves(w)) return *input;
    inputs_.push_back(linear_input(w, x_, n_tokens_));
    return *inputs_.back();
  }

 private:
  const float* x_;
  std::size_t n_tokens_;
  std::vector<std::unique_ptr<LinearInput>> inputs_;
};

void run_chunk(const LinearJob& job, const LinearInput& input, Range rows,
               Range tokens) {
  const std::size_t stride = job.w.n_rows;
  const std::size_t at = tokens.begin * stride + rows.begin;
  input.multiply(job.w, rows, tokens, job.y + at, stride);
  if (job.bias == nullptr && job.residual == nullptr) return;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    float* y = job.y + at + t * stride;
    if (job.bias != nullptr) {
      for (std::size_t r = 0; r < rows.size(); ++r)
        y[r] += job.bias[rows.begin + r];
    }
    if (job.residual != nullptr) {
      const float* residual = job.residual + at + t * stride;
      for (std::size_t r = 0; r < rows.size(); ++r) y[r] += residual[r];
    }
  }
}

enum class Kernel { kDense, kExact, kBf16, kAmx, kInt16 };

Kernel kernel_for(const MatrixView& w, std::size_t n_tokens) {
  const bool rounds = w.encoding != Encoding::kDense &&
                      w.precision != Precision::kExact && has_int16_kernel(w);
  const bool has_tiles = rounds && has_amx_kernel(w);
  const bool few = n_tokens >= kMinFewTokens && n_tokens <= kMaxFewTokens;
  if (has_tiles && few && has_packed_tiles(w) && w.group_size >= 64)
    return Kernel::kAmx;
  if (n_tokens >= kMinBf16Tokens && rounds_to_bf16(w.precision) &&
      has_bf16_kernel(w))
    return Kernel::kBf16;
  if (has_tiles && n_tokens >= kMinAmxTokens) return Kernel::kAmx;
  if (rounds) return Kernel::kInt16;
  return w.encoding == Encoding::kDense ? Kernel::kDense : Kernel::kExact;
}

}  // namespace

std::unique_ptr<LinearInput> linear_input(const MatrixView& w, const float* x,
                                          std::size_t n_tokens) {
  switch (kernel_for(w, n_tokens)) {
    case Kernel::kDense:
      return dense_input(x, n_tokens, w.n_cols);
    case Kernel::kExact:
      return exact_input(x, n_tokens, w.n_cols);
    case Kernel::kBf16:
      return bf16_input(w, x, n_tokens);
    case Kernel::kAmx:
      return amx_input(w, x, n_tokens);
    case Kernel::kInt16:
      break;
  }
  return int16_input(w, x, n_tokens);
}

const char* linear_kernel_name(const MatrixView& w, std::size_t n_tokens) {
  switch (kernel_for(w, n_tokens)) {
    case Kernel::kDense:
      return dense_kernel_name(n_tokens);
    case Kernel::kExact:
      return "float32 rows, decoded";
    case Kernel::kBf16:
      return "AMX bf16 tiles";
    case Kernel::kAmx:
      return "AMX int16 tiles";
    case Kernel::kInt16:
      break;
  }
  return int16_kernel_name(w, n_tokens);
}

namespace {

struct Task {
  const LinearJob* job;
  const LinearInput* input;
  Grid grid;
};

void run(const std::vector<Task>& tasks) {
  std::vector<std::size_t> ends;  // of each task's chunks
  for (const Task& task : tasks)
    ends.push_back((ends.empty() ? 0 : ends.back()) + task.grid.n_chunks());
  parallel_for(ends.back(), [&](std::size_t chunk) {
    std::size_t i = 0;
    while (chunk >= ends[i]) ++i;
    const Task& task = tasks[i];
    const std::size_t own = chunk - (i == 0 ? 0 : ends[i - 1]);
    run_chunk(*task.job, *task.input, task.grid.rows(own),
              task.grid.tokens(own));
  });
}

}  // namespace

void linear(std::span<const LinearJob> jobs, const float* x,
            std::size_t n_tokens) {
  if (jobs.empty()) return;
  Inputs inputs(x, n_tokens);
  std::vector<Task> tasks;
  std::size_t n_rows = 0;
  for (const LinearJob& job : jobs) n_rows += job.w.n_rows;
  for (const LinearJob& job : jobs) {
    const LinearInput& input = inputs.get(job.w);
    tasks.push_back(
        {&job,
         &input,
         {job.w.n_rows, n_tokens, piece_for(input, job.w, n_rows, n_tokens)}});
  }
  run(tasks);
}

void gated_linear(const MatrixView& w_gate, const MatrixView& w_up,
                  GateFunction activation, const float* x, std::size_t n_tokens,
                  float* y) {
  Inputs inputs(x, n_tokens);
  const LinearInput& gate_input = inputs.get(w_gate);
  const LinearInput& up_input = inputs.get(w_up);
  const Grid grid{w_gate.n_rows, n_tokens,
                  piece_for(gate_input, w_gate, w_gate.n_rows, n_tokens)};
  parallel_for(grid.n_chunks(), [&](std::size_t chunk) {
    thread_local std::vector<float> products;
    const Range rows = grid.rows(chunk);
    const Range tokens = grid.tokens(chunk);
    products.resize(2 * rows.size() * tokens.size());
    float* gate = products.data();
    float* up = gate + rows.size() * tokens.size();
    gate_input.multiply(w_gate, rows, tokens, gate, rows.size());
    up_input.multiply(w_up, rows, tokens, up, rows.size());
    float* out = y + tokens.begin * w_gate.n_rows + rows.begin;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      activation(gate + t * rows.size(), up + t * rows.size(), rows.size(),
                 out + t * w_gate.n_rows);
    }
  });
}

bool fuses_gated_mlp(const MatrixView& w_gate, const MatrixView& w_up,
                     const MatrixView& w_down, std::size_t n_tokens) {
  const auto takes = [&](const MatrixView& w) {
    return kernel_for(w, n_tokens) == Kernel::kBf16;
  };
  return takes(w_gate) && takes(w_up) && takes(w_down) &&
         interleaves_columns(w_gate) == interleaves_columns(w_up);
}

void gated_mlp(const MatrixView& w_gate, const MatrixView& w_up,
               GateFunction activation, const LinearJob& down, const float* x,
               std::size_t n_tokens) {
  const auto input =
      gated_bf16_input(w_gate, w_up, activation, x, n_tokens, down.w);
  run({{&down,
        input.get(),
        {down.w.n_rows, n_tokens,
         piece_for(*input, down.w, down.w.n_rows, n_tokens)}}});
}

}  // namespace skua::cpu
