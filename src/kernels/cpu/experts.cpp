#include "kernels/cpu/experts.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/cpu/scratch.h"
#include "skua/error.h"

namespace skua::cpu {
namespace {

// 32 MiB; the inputs of the kernels come to as much again at most.
constexpr std::size_t kScratchFloats = std::size_t{8} << 20;

// An expert that is hit, and the places of its slots.
struct Group {
  std::size_t expert;
  Range places;
};

// Slots t * n_slots + j in the order of their experts.
struct Routing {
  std::vector<Group> groups;
  std::vector<std::size_t> slots;  // at each place
};

Routing route(const ExpertIds& ids, std::size_t n_experts) {
  const std::size_t n = ids.n_tokens * ids.n_slots;
  std::vector<std::size_t> next(n_experts + 1);  // free place of each expert
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t id = ids.ids[i];
    if (id < 0 || static_cast<std::size_t>(id) >= n_experts) {
      throw InvalidInput("experts", "expert id is " + std::to_string(id) +
                                        ", expected 0 to " +
                                        std::to_string(n_experts - 1));
    }
    ++next[static_cast<std::size_t>(id) + 1];
  }
  Routing routing;
  for (std::size_t e = 0; e < n_experts; ++e) {
    const std::size_t n_places = next[e + 1];
    next[e + 1] += next[e];
    if (n_places != 0) routing.groups.push_back({e, {next[e], next[e + 1]}});
  }
  routing.slots.resize(n);
  for (std::size_t i = 0; i < n; ++i)
    routing.slots[next[static_cast<std::size_t>(ids.ids[i])]++] = i;
  return routing;
}

template <class Body>
void for_each_group(const Routing& routing, const Body& body) {
  // Few slots are done before another thread is awake; a single group is
  // shared among the threads inside.
  constexpr std::size_t kFewSlots = 4;
  const std::size_t n = routing.groups.size();
  if (n > 1 && routing.slots.size() > kFewSlots) return parallel_for(n, body);
  for (std::size_t i = 0; i < n; ++i) body(i);
}

// out [places, n_cols]: of each slot its row of x, which `n_sharing`
// consecutive slots have in common.
void gather(const Routing& routing, const float* x, std::size_t n_sharing,
            std::size_t n_cols, float* out) {
  for_each_group(routing, [&](std::size_t i) {
    const Range places = routing.groups[i].places;
    for (std::size_t p = places.begin; p < places.end; ++p) {
      std::copy_n(x + routing.slots[p] / n_sharing * n_cols, n_cols,
                  out + p * n_cols);
    }
  });
}

// One input for each group, so that each takes the kernel which is best for
// its own number of tokens.
using GroupInputs = std::vector<std::unique_ptr<LinearInput>>;

// x is [places, K]. None where the inputs in `shared` serve w too.
GroupInputs make_inputs(const Routing& routing, const ExpertsView& w,
                        const float* x, const GroupInputs* shared = nullptr) {
  GroupInputs inputs(routing.groups.size());
  for_each_group(routing, [&](std::size_t i) {
    if (shared != nullptr && (*shared)[i]->serves(w.all)) return;
    const auto& [expert, places] = routing.groups[i];
    inputs[i] = linear_input(w.expert(expert), x + places.begin * w.n_cols(),
                             places.size());
  });
  return inputs;
}

struct Piece {
  std::size_t group;
  Range rows;    // of the expert
  Range tokens;  // of the group
};

std::vector<Piece> pieces(const Routing& routing, const GroupInputs& inputs,
                          std::size_t n_rows) {
  std::vector<Piece> all;
  for (std::size_t i = 0; i < routing.groups.size(); ++i) {
    const std::size_t n = routing.groups[i].places.size();
    const PieceSize size = inputs[i]->piece();
    for (std::size_t t = 0; t < n; t += size.n_tokens) {
      for (std::size_t r = 0; r < n_rows; r += size.n_rows) {
        all.push_back({i,
                       {r, std::min(r + size.n_rows, n_rows)},
                       {t, std::min(t + size.n_tokens, n)}});
      }
    }
  }
  return all;
}

// Room for the products of one piece with two matrices.
float* room_for(const Piece& piece) {
  thread_local std::vector<float> room;
  const std::size_t n = 2 * piece.rows.size() * piece.tokens.size();
  if (room.size() < n) room.resize(n);
  return room.data();
}

// x [places, K] to y [slots, N].
void multiply(const Routing& routing, const ExpertsView& w, const float* bias,
              const float* x, float* y) {
  const GroupInputs inputs = make_inputs(routing, w, x);
  const std::size_t n_rows = w.n_rows();
  const std::vector<Piece> all = pieces(routing, inputs, n_rows);
  parallel_for(all.size(), [&](std::size_t i) {
    const auto& [group, rows, tokens] = all[i];
    const auto& [expert, places] = routing.groups[group];
    float* products = room_for(all[i]);
    inputs[group]->multiply(w.expert(expert), rows, tokens, products,
                            rows.size());
    const float* product = products;
    for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
      const std::size_t slot = routing.slots[places.begin + t];
      float* out = y + slot * n_rows + rows.begin;
      std::copy_n(product, rows.size(), out);
      product += rows.size();
      if (bias == nullptr) continue;
      const float* addend = bias + expert * n_rows + rows.begin;
      for (std::size_t r = 0; r < rows.size(); ++r) out[r] += addend[r];
    }
  });
}

// x [places, K] to y [places, N].
void multiply_gated(const Routing& routing, const GatedExperts& experts,
                    const float* x, float* y) {
  const GroupInputs inputs = make_inputs(routing, experts.gate, x);
  const GroupInputs others = make_inputs(routing, experts.up, x, &inputs);
  const std::size_t n_rows = experts.gate.n_rows();
  const std::vector<Piece> all = pieces(routing, inputs, n_rows);
  parallel_for(all.size(), [&](std::size_t i) {
    const auto& [group, rows, tokens] = all[i];
    const auto& [expert, places] = routing.groups[group];
    const LinearInput& gate_input = *inputs[group];
    const LinearInput& up_input = others[group] ? *others[group] : gate_input;
    float* gate = room_for(all[i]);
    float* up = gate + rows.size() * tokens.size();
    gate_input.multiply(experts.gate.expert(expert), rows, tokens, gate,
                        rows.size());
    up_input.multiply(experts.up.expert(expert), rows, tokens, up, rows.size());
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const std::size_t place = places.begin + tokens.begin + t;
      experts.activation(gate + t * rows.size(), up + t * rows.size(),
                         rows.size(), y + place * n_rows + rows.begin);
    }
  });
}

// y[t] = sum of weights[t, j] * x[t, j], from the first slot to the last.
void weighted_sum(const float* x, const float* weights, std::size_t n_tokens,
                  std::size_t n_slots, std::size_t n_cols, float* y) {
  constexpr std::size_t kFloatsPerChunk = 16 * 1024;
  const std::size_t chunk =
      std::max<std::size_t>(1, kFloatsPerChunk / (n_slots * n_cols));
  parallel_for((n_tokens + chunk - 1) / chunk, [&](std::size_t i) {
    const std::size_t end = std::min((i + 1) * chunk, n_tokens);
    for (std::size_t t = i * chunk; t < end; ++t) {
      float* out = y + t * n_cols;
      for (std::size_t s = t * n_slots; s < (t + 1) * n_slots; ++s) {
        const float* in = x + s * n_cols;
        for (std::size_t c = 0; c < n_cols; ++c) {
          const float term = weights[s] * in[c];
          out[c] = s == t * n_slots ? term : out[c] + term;
        }
      }
    }
  });
}

// Calls body(first, ids of the block) for blocks of tokens whose scratch
// memory stays within bounds.
template <class Body>
void in_blocks(const ExpertIds& ids, std::size_t floats_per_slot,
               const Body& body) {
  const std::size_t size = std::max<std::size_t>(
      1, kScratchFloats / (ids.n_slots * floats_per_slot));
  for (std::size_t first = 0; first < ids.n_tokens; first += size) {
    body(first, ExpertIds{ids.ids + first * ids.n_slots,
                          std::min(size, ids.n_tokens - first), ids.n_slots});
  }
}

}  // namespace

MatrixView ExpertsView::expert(std::size_t i) const {
  MatrixView w = all;
  w.n_rows = n_rows();
  const std::size_t first = i * w.n_rows;
  w.values += first * w.row_bytes();
  if (w.encoding == Encoding::kDense) return w;
  const std::size_t scale_bytes =
      w.encoding == Encoding::kAffine ? float_bytes(w.float_type) : 1;
  const std::size_t offset = first * w.n_groups() * scale_bytes;
  w.scales += offset;
  if (w.biases != nullptr) w.biases += offset;
  return w;
}

void expert_linear(const ExpertsView& w, const float* bias,
                   const ExpertIds& ids, bool x_per_slot, const float* x,
                   float* y) {
  const std::size_t n_sharing = x_per_slot ? 1 : ids.n_slots;
  in_blocks(ids, w.n_cols(), [&](std::size_t first, const ExpertIds& block) {
    const Routing routing = route(block, w.n_experts);
    const std::size_t slot = first * ids.n_slots;
    float* rows = scratch(routing.slots.size() * w.n_cols());
    gather(routing, x + slot / n_sharing * w.n_cols(), n_sharing, w.n_cols(),
           rows);
    multiply(routing, w, bias, rows, y + slot * w.n_rows());
  });
}

void expert_gated_mlp(const GatedExperts& experts, const ExpertIds& ids,
                      const float* weights, const float* x, float* y) {
  const std::size_t dim = experts.gate.n_cols();
  const std::size_t hidden_dim = experts.gate.n_rows();
  in_blocks(ids, dim + hidden_dim,
            [&](std::size_t first, const ExpertIds& block) {
              const Routing routing = route(block, experts.gate.n_experts);
              const std::size_t n = routing.slots.size();
              float* rows = scratch(n * (dim + hidden_dim));
              float* hidden = rows + n * dim;
              gather(routing, x + first * dim, ids.n_slots, dim, rows);
              multiply_gated(routing, experts, rows, hidden);
              multiply(routing, experts.down, nullptr, hidden, rows);
              weighted_sum(rows, weights + first * ids.n_slots, block.n_tokens,
                           ids.n_slots, dim, y + first * dim);
            });
}

}  // namespace skua::cpu
