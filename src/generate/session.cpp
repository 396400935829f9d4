#include "generate/session.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <string>

#include "skua/error.h"

namespace skua {

Session::Session(const CausalLM& model, int context, int chunk, KvType kv_type)
    : Session(model, std::make_shared<Cache>(model.make_cache(kv_type)),
              context, chunk) {}

Session::Session(const CausalLM& model, std::shared_ptr<Cache> cache,
                 int context, int chunk)
    : model_(&model), context_(context), chunk_(chunk) {
  if (chunk < 1 || context < 0)
    throw InvalidInput("session", "chunk and context are expected positive");
  cache_ = std::move(cache);
  sequence_ = cache_->add_sequence();
}

Session::~Session() {
  if (cache_) cache_->remove(sequence_);
}

Session& Session::operator=(Session&& other) noexcept {
  std::swap(model_, other.model_);
  std::swap(context_, other.context_);
  std::swap(chunk_, other.chunk_);
  std::swap(cache_, other.cache_);
  std::swap(sequence_, other.sequence_);
  std::swap(tokens_, other.tokens_);
  return *this;
}

void Session::check(std::span<const std::int32_t> ids,
                    std::size_t n_before) const {
  if (ids.empty()) throw InvalidInput("prompt", "there are no tokens to feed");
  check_ids(ids, model_->vocab_size(), "prompt");
  if (context_ != 0 &&
      ids.size() > static_cast<std::size_t>(context_) - n_before) {
    throw InvalidInput("prompt",
                       "has " + std::to_string(n_before + ids.size()) +
                           " tokens, expected at most the context of " +
                           std::to_string(context_));
  }
}

mx::array Session::prefill(std::span<const std::int32_t> ids,
                           const std::function<bool(int n_done)>& progress) {
  check(ids, tokens_.size());
  std::optional<mx::array> logits;
  std::size_t n_done = 0;
  while (n_done < ids.size()) {
    const auto rest = ids.subspan(n_done);
    const auto piece = rest.first(std::min<std::size_t>(rest.size(), chunk_));
    const auto n = static_cast<int>(piece.size());
    n_done += piece.size();
    const bool last = n_done == ids.size();
    Batch batch;
    add_to(batch, n);
    if (last || progress) batch.want_last();
    logits = model_->forward(mx::array(piece.begin(), {n}, mx::int32), batch,
                             *cache_);
    fed(piece);
    // One chunk at a time is in memory.
    if (!last) mx::eval(cache_->arrays());
    if (progress && !progress(static_cast<int>(n_done))) break;
  }
  return mx::reshape(*logits, {model_->vocab_size()});
}

std::size_t Session::n_common(std::span<const std::int32_t> ids) const {
  const auto [mine, theirs] = std::ranges::mismatch(tokens_, ids);
  auto n = static_cast<std::size_t>(mine - tokens_.begin());
  if (n == ids.size() && n > 0) --n;
  return static_cast<std::size_t>(
      cache_->trim_point(sequence_, static_cast<int>(n)));
}

mx::array Session::extend_to(std::span<const std::int32_t> ids,
                             const std::function<bool(int n_done)>& progress) {
  check(ids, 0);
  const std::size_t n_kept = n_common(ids);
  rewind(static_cast<int>(n_kept));
  mx::array logits = prefill(ids.subspan(n_kept), progress);
  mark();
  return logits;
}

void Session::rewind(int n_tokens) {
  const int n_kept = cache_->trim_point(sequence_, n_tokens);
  cache_->trim(sequence_, n_kept);
  tokens_.resize(static_cast<std::size_t>(n_kept));
}

void Session::mark() {
  cache_->mark(sequence_, static_cast<int>(tokens_.size()));
}

Session Session::fork() const {
  Session copy(*model_, cache_, context_, chunk_);
  copy.cache_->remove(copy.sequence_);
  copy.sequence_ = cache_->fork(sequence_);
  copy.tokens_ = tokens_;
  return copy;
}

void Session::add_to(Batch& batch, int n, int n_ahead) const {
  batch.add(sequence_, static_cast<int>(tokens_.size()) + n_ahead, n);
}

void Session::fed(std::span<const std::int32_t> ids) {
  tokens_.insert(tokens_.end(), ids.begin(), ids.end());
}

void Session::recover() {
  if (!cache_) return;
  const auto held = static_cast<int>(tokens_.size());
  if (cache_->length(sequence_) > held) rewind(held);
}

}  // namespace skua
