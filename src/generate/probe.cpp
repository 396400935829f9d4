#include "generate/probe.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <string>

#include "generate/oracle.h"
#include "skua/error.h"

namespace skua {
namespace {

std::vector<float> row(const mx::array& logits, int i) {
  mx::array values = mx::contiguous(mx::take(logits, i, 0));
  values.eval();
  return {values.data<float>(), values.data<float>() + values.size()};
}

Probe::Top best_two(const std::vector<float>& logits) {
  std::size_t best = 0, second = 1;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) {
      second = best;
      best = i;
    } else if (i != best && (second == best || logits[i] > logits[second])) {
      second = i;
    }
  }
  return {static_cast<std::int32_t>(best), static_cast<std::int32_t>(second),
          logits[best], logits.at(second)};
}

void check(std::span<const std::int32_t> ids, std::span<const int> at,
           int n_greedy, int chunk, int vocab_size) {
  if (ids.empty()) throw InvalidInput("tokens", "there are none");
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      throw InvalidInput("tokens", "an id is " + std::to_string(id) +
                                       ", expected 0 to " +
                                       std::to_string(vocab_size - 1));
    }
  }
  for (const int position : at) {
    if (position < 0 || static_cast<std::size_t>(position) >= ids.size()) {
      throw InvalidInput("at", "a position is " + std::to_string(position) +
                                   ", expected 0 to " +
                                   std::to_string(ids.size() - 1));
    }
  }
  if (n_greedy < 0 || chunk < 0)
    throw InvalidInput("probe", "greedy and chunk are expected 0 or more");
}

}  // namespace

Probe probe_logits(const CausalLM& model, std::span<const std::int32_t> ids,
                   std::span<const int> at, int n_greedy, int chunk) {
  check(ids, at, n_greedy, chunk, model.vocab_size());
  const auto n_ids = static_cast<int>(ids.size());
  const int step = chunk == 0 ? n_ids : chunk;
  Cache cache = model.make_cache();
  const int sequence = cache.add_sequence();
  Probe probe;
  for (int first = 0; first < n_ids; first += step) {
    const int n = std::min(step, n_ids - first);
    Batch batch;
    batch.add(sequence, first, n);
    for (const int position : at) {
      if (position >= first && position < first + n)
        batch.output_rows.push_back(position - first);
    }
    const auto n_at = static_cast<int>(batch.output_rows.size());
    batch.want_last();
    const mx::array logits = model.forward(
        mx::array(ids.begin() + first, {n}, mx::int32), batch, cache);
    for (int i = 0; i < n_at; ++i) {
      const int position = batch.output_rows[static_cast<std::size_t>(i)];
      probe.logits_at[first + position] = row(logits, i);
    }
    probe.logits_last = row(logits, n_at);
  }
  std::vector<float> logits = probe.logits_last;
  for (int i = 0; i < n_greedy; ++i) {
    probe.greedy_top.push_back(best_two(logits));
    const std::int32_t token = probe.greedy_top.back().id;
    probe.greedy.push_back(token);
    if (i + 1 == n_greedy) break;
    Batch batch;
    batch.add(sequence, n_ids + i, 1);
    batch.want_last();
    logits =
        row(model.forward(mx::array(&token, {1}, mx::int32), batch, cache), 0);
  }
  return probe;
}

Probe probe_oracle(const CausalLM& model, std::span<const std::int32_t> ids,
                   std::span<const int> at, int n_greedy) {
  check(ids, at, n_greedy, 0, model.vocab_size());
  const Oracle oracle(model);
  Probe probe;
  for (const int position : at) {
    probe.logits_at[position] =
        oracle.logits(ids.first(static_cast<std::size_t>(position) + 1));
  }
  std::vector<std::int32_t> all(ids.begin(), ids.end());
  std::vector<float> logits = probe.logits_last = oracle.logits(all);
  for (int i = 0; i < n_greedy; ++i) {
    if (i != 0) logits = oracle.logits(all);
    probe.greedy_top.push_back(best_two(logits));
    all.push_back(probe.greedy_top.back().id);
    probe.greedy.push_back(all.back());
  }
  return probe;
}

}  // namespace skua
