#include "generate/head_drafter.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <chrono>

namespace skua {
namespace {

// Hidden states to keep before the head reads them.
constexpr int kMostWaiting = 32;

// A head's drafts are undone as a whole, which a cache that gives up old
// tokens does not allow; it starts anew instead.
CacheOptions unbounded(CacheOptions options) {
  options.max_size = 0;
  return options;
}

}  // namespace

HeadDrafter::HeadDrafter(std::shared_ptr<const LoadedModel> model,
                         const CacheOptions& cache,
                         const GenerationOptions& options, TokenRoles roles,
                         std::uint64_t seed, bool with_distributions)
    : model_(std::move(model)),
      head_(*model_->model->mtp()),
      chooser_(options, std::move(roles), model_->model->vocab_size(), seed,
               with_distributions),
      most_read_(2 * std::min(cache.max_size, 1 << 29)),
      cache_(head_.make_cache(unbounded(cache))),
      sequence_(cache_.add_sequence()) {}

int HeadDrafter::n_waiting() const {
  return static_cast<int>(waiting_.size()) / head_.dim();
}

void HeadDrafter::restart(int position) {
  cache_.trim(sequence_, 0);
  first_ = position;
  n_read_ = 0;
  waiting_.clear();
}

// Appends rows after those that the cache holds.
MtpHead::Step HeadDrafter::run(std::span<const std::int32_t> ids,
                               const mx::array& hidden, bool wanted) {
  const auto n = static_cast<int>(ids.size());
  Batch batch;
  batch.add(sequence_, cache_.length(sequence_), n);
  if (wanted) batch.want_last();
  return head_.forward(mx::array(ids.begin(), {n}, mx::int32), hidden, batch,
                       cache_);
}

// Those whose next token is known.
std::optional<MtpHead::Step> HeadDrafter::read_waiting(
    std::span<const std::int32_t> tokens, bool wanted) {
  const int next = first_ + n_read_ + 1;
  const int n = std::min(n_waiting(), static_cast<int>(tokens.size()) - next);
  if (n <= 0) return std::nullopt;
  const auto end = waiting_.begin() + std::ptrdiff_t{n} * head_.dim();
  const mx::array hidden(waiting_.begin(), {n, head_.dim()}, mx::float32);
  MtpHead::Step step = run(tokens.subspan(static_cast<std::size_t>(next),
                                          static_cast<std::size_t>(n)),
                           hidden, wanted);
  n_read_ += n;
  waiting_.erase(waiting_.begin(), end);
  return step;
}

void HeadDrafter::read(std::span<const std::int32_t> tokens, int position,
                       std::span<const float> hidden) {
  const int n_kept = position - first_ - n_read_;
  const bool too_many = most_read_ != 0 && n_read_ > most_read_;
  if (n_kept < 0 || n_kept > n_waiting() || too_many) {
    restart(position);
  } else {
    // The rest is of drafted tokens that did not stand.
    waiting_.resize(static_cast<std::size_t>(n_kept) *
                    static_cast<std::size_t>(head_.dim()));
  }
  waiting_.insert(waiting_.end(), hidden.begin(), hidden.end());
  if (n_waiting() < kMostWaiting) return;
  if (read_waiting(tokens, false)) mx::eval(cache_.arrays());
}

Draft HeadDrafter::propose(const History& history, int n) {
  const auto begin = std::chrono::steady_clock::now();
  const auto last = static_cast<int>(history.tokens.size()) - 1;
  if (first_ + n_read_ + n_waiting() < last) return {};
  std::optional<MtpHead::Step> step = read_waiting(history.tokens, true);
  if (!step) return {};
  const auto next = [&](std::int32_t token) {
    step = run({&token, 1}, step->hidden, true);
    return step->logits;
  };
  Draft draft = chooser_.choose(history, n, step->logits, next);
  cache_.trim(sequence_, n_read_);
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - begin;
  if (n == 1) draft.seconds_per_token = time.count();
  return draft;
}

}  // namespace skua
