#include "generate/generator.h"

#include <mlx/mlx.h>

#include <algorithm>

#include "generate/oracle.h"
#include "kernels/deterministic_scope.h"
#include "skua/error.h"

namespace skua {

Generator::Generator(const CausalLM& model, const GeneratorOptions& options)
    : model_(model), options_(options) {}

Generator::~Generator() {
  if (running_)
    for (const auto& sequence : sequences_) leave(*running_, *sequence);
  if (newest_) newest_->wait();
}

void Generator::add(std::shared_ptr<Sequence> sequence) {
  Cache& cache = sequence->session().cache();
  if (cache_ != nullptr && cache_ != &cache)
    throw InvalidInput("generator", "sequence has another cache");
  cache_ = &cache;
  sequences_.push_back(std::move(sequence));
}

void Generator::remove(Sequence& sequence) {
  if (running_) leave(*running_, sequence);
  std::erase_if(sequences_,
                [&](const auto& one) { return one.get() == &sequence; });
}

void Generator::leave(Step& step, const Sequence& sequence) {
  for (Part& part : step.parts) {
    if (part.sequence != &sequence) continue;
    part.sequence->session().recover();
    part.sequence = nullptr;
  }
}

bool Generator::step() {
  std::erase_if(sequences_, [this](const auto& sequence) {
    if (sequence->begin_step()) return false;
    if (running_) leave(*running_, *sequence);
    return true;
  });
  if (sequences_.empty()) {
    running_.reset();
    return false;
  }
  Step now;
  std::optional<Step> next;
  try {
    if (running_) {
      now = std::move(*running_);
      running_.reset();
    } else {
      std::vector<std::int32_t> ids;
      now = plan(ids);
      if (options_.oracle)
        ask_oracle(now, ids);
      else
        start(now, mx::array(ids.begin(), {now.batch.n_rows()}, mx::int32),
              foreseeable(now));
      for (const Part& part : now.parts) part.sequence->prepare();
    }
    const bool ahead = foreseeable(now);
    if (ahead) next = follow(now);
    finish(now);
    // A step that could not begin may have left rows in the cache.
    if (ahead && !next)
      for (const Part& part : now.parts) part.sequence->session().recover();
  } catch (...) {
    if (now.parts.empty()) {
      for (const auto& sequence : sequences_)
        sequence->fail(std::current_exception());
    }
    for (const Part& part : now.parts)
      if (part.sequence) part.sequence->fail(std::current_exception());
    return true;
  }
  if (next) {
    drop_what_did_not_come(*next, now);
    const bool any = std::ranges::any_of(
        next->parts, [](const Part& part) { return part.sequence != nullptr; });
    if (any) running_ = std::move(next);
  }
  return true;
}

Generator::Step Generator::plan(std::vector<std::int32_t>& ids) {
  Step step;
  int left = options_.max_prompt_rows;
  const auto n_answers = static_cast<int>(std::ranges::count_if(
      sequences_, [](const auto& sequence) { return sequence->answers(); }));
  for (const auto& sequence : sequences_) {
    if (sequence->answers()) sequence->draft(cost_, n_answers - 1);
    // What goes on with an answer has its place in every step.
    int n = sequence->n_ready();
    if (!sequence->answers()) {
      n = std::min(n, left);
      left -= n;
      step.has_prompts = true;
    }
    if (n == 0) continue;
    const std::size_t before = step.batch.output_rows.size();
    sequence->add_to(step.batch, ids, n);
    const std::size_t n_logits = step.batch.output_rows.size() - before;
    step.parts.push_back({sequence.get(), n, static_cast<int>(n_logits)});
  }
  return step;
}

bool Generator::checks_guesses(const Step& step) {
  return std::ranges::any_of(step.parts, [](const Part& part) {
    return part.sequence->answers() && part.n_logits > 1;
  });
}

void Generator::start(Step& step, const mx::array& ids, bool ahead) {
  step.begin = Clock::now();
  std::optional<DeterministicScope> same_bits;
  if (checks_guesses(step)) same_bits.emplace();
  const bool with_hidden = std::ranges::any_of(
      step.parts,
      [](const Part& part) { return part.sequence->reads_hidden(); });
  if (with_hidden) {
    CausalLM::Step made = model_.forward_with_hidden(ids, step.batch, *cache_);
    step.logits = made.logits;
    step.hidden = mx::contiguous(made.hidden);
    mx::async_eval(*step.hidden);
  } else {
    step.logits = model_.forward(ids, step.batch, *cache_);
  }
  if (step.batch.output_rows.empty()) return mx::eval(cache_->arrays());
  if (ahead) {
    std::vector<Foresight> rows;
    for (const Part& part : step.parts)
      rows.push_back(part.sequence->foresight(step.n_ahead));
    step.foreseen = foresee(*step.logits, std::move(rows));
  }
  newest_ = ahead ? step.foreseen : step.logits;
  mx::async_eval({*step.logits, *newest_});
}

// Segment i of the batch is that of part i.
void Generator::ask_oracle(Step& step,
                           const std::vector<std::int32_t>& ids) const {
  step.begin = Clock::now();
  const Oracle oracle(model_);
  std::vector<float> all;
  auto wanted = step.batch.output_rows.begin();
  for (std::size_t i = 0; i < step.parts.size(); ++i) {
    std::vector<std::int32_t> tokens =
        step.parts[i].sequence->session().tokens();
    auto next = ids.begin() + step.batch.segments[i].first_row;
    for (int n = 0; n < step.parts[i].n_logits; ++n, ++wanted) {
      const auto end = ids.begin() + *wanted + 1;
      tokens.insert(tokens.end(), next, end);
      next = end;
      const std::vector<float> row = oracle.logits(tokens);
      all.insert(all.end(), row.begin(), row.end());
    }
  }
  step.logits = mx::array(
      all.begin(),
      {static_cast<int>(step.batch.output_rows.size()), model_.vocab_size()},
      mx::float32);
  sequences_.front()->session().cache().advance(step.batch);
}

bool Generator::foreseeable(const Step& step) const {
  if (options_.oracle || !options_.run_ahead) return false;
  if (step.parts.size() != sequences_.size()) return false;
  return std::ranges::all_of(step.parts, [](const Part& part) {
    return part.sequence != nullptr && part.n_logits == 1 &&
           part.sequence->foreseeable(part.n_rows);
  });
}

std::optional<Generator::Step> Generator::follow(const Step& step) {
  Step next;
  next.n_ahead = 1;
  for (const Part& part : step.parts) {
    part.sequence->session().add_to(next.batch, 1, part.n_rows);
    next.batch.want_last();
    next.parts.push_back({part.sequence, 1, 1});
  }
  try {
    start(next, *step.foreseen, true);
  } catch (...) {
    return std::nullopt;  // its own turn will tell, once this step is read
  }
  return next;
}

void Generator::finish(Step& step) {
  std::span<const float> rows;
  if (!step.batch.output_rows.empty()) {
    if (step.foreseen) step.foreseen->wait();
    step.logits->wait();
    rows = {step.logits->data<float>(), step.logits->size()};
  }
  std::span<const float> hidden;
  if (step.hidden) {
    step.hidden->wait();
    hidden = {step.hidden->data<float>(), step.hidden->size()};
  }
  const auto now = Clock::now();
  const std::chrono::duration<double> time =
      now - std::max(step.begin, last_end_);
  last_end_ = now;
  if (!step.has_prompts) cost_.observe(step.batch.n_rows(), time.count());
  const std::size_t dim =
      step.hidden ? static_cast<std::size_t>(step.hidden->shape(1)) : 0;
  for (std::size_t i = 0; i < step.parts.size(); ++i) {
    const Part& part = step.parts[i];
    const auto first_row =
        static_cast<std::size_t>(step.batch.segments[i].first_row);
    const auto n_rows = static_cast<std::size_t>(part.n_rows);
    const auto n = static_cast<std::size_t>(part.n_logits) *
                   static_cast<std::size_t>(model_.vocab_size());
    try {
      if (part.sequence) {
        part.sequence->take(rows.first(n), part.n_rows,
                            hidden.subspan(first_row * dim, n_rows * dim));
      }
    } catch (...) {
      part.sequence->fail(std::current_exception());
    }
    rows = rows.subspan(n);
  }
}

void Generator::drop_what_did_not_come(Step& next, const Step& step) {
  const auto* foreseen = step.foreseen->data<std::int32_t>();
  for (std::size_t i = 0; i < next.parts.size(); ++i) {
    Sequence& sequence = *next.parts[i].sequence;
    if (sequence.ended() || sequence.newest() != foreseen[i])
      leave(next, sequence);
  }
}

}  // namespace skua
