#include "generate/generator.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <chrono>

#include "generate/oracle.h"
#include "skua/error.h"

namespace skua {

Generator::Generator(const CausalLM& model, int max_rows, bool oracle)
    : model_(model), max_rows_(max_rows), oracle_(oracle) {}

void Generator::add(std::shared_ptr<Sequence> sequence) {
  if (!sequences_.empty() &&
      &sequences_.front()->session().cache() != &sequence->session().cache()) {
    throw InvalidInput("generator", "sequence has another cache");
  }
  sequences_.push_back(std::move(sequence));
}

void Generator::remove(const Sequence& sequence) {
  std::erase_if(sequences_,
                [&](const auto& one) { return one.get() == &sequence; });
}

bool Generator::step() {
  std::erase_if(sequences_,
                [](const auto& sequence) { return !sequence->begin_step(); });
  if (sequences_.empty()) return false;
  Batch batch;
  std::vector<std::int32_t> ids;
  std::vector<Part> parts;
  int left = max_rows_;
  const auto n_answers = static_cast<int>(std::ranges::count_if(
      sequences_, [](const auto& sequence) { return sequence->answers(); }));
  bool prompts = false;
  for (const auto& sequence : sequences_) {
    if (sequence->answers()) sequence->draft(cost_, n_answers - 1);
    // What goes on with an answer has its place in every step.
    int n = sequence->n_ready();
    if (!sequence->answers()) {
      n = std::min(n, left);
      left -= n;
      prompts = true;
    }
    if (n == 0) continue;
    const std::size_t before = batch.output_rows.size();
    sequence->add_to(batch, ids, n);
    parts.push_back({sequence.get(), batch.output_rows.size() - before});
  }
  try {
    const auto begin = std::chrono::steady_clock::now();
    run(parts, batch, ids);
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    if (!prompts) cost_.observe(batch.n_rows(), time.count());
  } catch (...) {
    for (const Part& part : parts)
      part.sequence->fail(std::current_exception());
  }
  return true;
}

// Segment i of the batch is that of part i.
std::vector<float> Generator::oracle_logits(
    const std::vector<Part>& parts, const Batch& batch,
    const std::vector<std::int32_t>& ids) const {
  const Oracle oracle(model_);
  std::vector<float> all;
  auto wanted = batch.output_rows.begin();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Segment& segment = batch.segments[i];
    std::vector<std::int32_t> tokens = parts[i].sequence->session().tokens();
    auto next = ids.begin() + segment.first_row;
    for (std::size_t n = 0; n < parts[i].n_logits; ++n, ++wanted) {
      const auto end = ids.begin() + *wanted + 1;
      tokens.insert(tokens.end(), next, end);
      next = end;
      const std::vector<float> row = oracle.logits(tokens);
      all.insert(all.end(), row.begin(), row.end());
    }
  }
  return all;
}

void Generator::run(const std::vector<Part>& parts, const Batch& batch,
                    const std::vector<std::int32_t>& ids) {
  Cache& cache = parts.front().sequence->session().cache();
  if (oracle_) {
    const std::vector<float> rows = oracle_logits(parts, batch, ids);
    cache.advance(batch);
    return take(parts, rows);
  }
  mx::array logits = model_.forward(
      mx::array(ids.begin(), {batch.n_rows()}, mx::int32), batch, cache);
  if (batch.output_rows.empty()) {
    mx::eval(cache.arrays());
    return take(parts, {});
  }
  logits.eval();
  take(parts, {logits.data<float>(), logits.size()});
}

void Generator::take(const std::vector<Part>& parts,
                     std::span<const float> rows) const {
  const auto vocab_size = static_cast<std::size_t>(model_.vocab_size());
  for (const Part& part : parts) {
    try {
      part.sequence->take(rows.first(part.n_logits * vocab_size));
    } catch (...) {
      part.sequence->fail(std::current_exception());
    }
    rows = rows.subspan(part.n_logits * vocab_size);
  }
}

}  // namespace skua
