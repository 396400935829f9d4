#include "generate/generation.h"

#include <mlx/mlx.h>

#include "skua/error.h"

namespace skua {
namespace {

double seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

TokenRoles roles_of(const LoadedModel& model) {
  TokenRoles roles;
  roles.vocab_size = model.model->vocab_size();
  roles.eos_ids = model.eos_ids;
  return roles;
}

}  // namespace

Generation::Generation(std::shared_ptr<const LoadedModel> model,
                       Session session, std::vector<std::int32_t> prompt,
                       const GenerationOptions& options, TextStart start)
    : model_(std::move(model)),
      session_(std::move(session)),
      prompt_(std::move(prompt)),
      options_(options),
      sampler_(options, roles_of(*model_), options.seed.value_or(0)),
      detokenizer_((model_->need_tokenizer(), model_->tokenizer), true) {
  if (prompt_.empty()) throw InvalidInput("prompt", "is empty");
  const auto n = static_cast<int>(prompt_.size());
  if (session_.context() != 0 && n >= session_.context()) {
    throw InvalidInput("prompt",
                       "has " + std::to_string(n) +
                           " tokens, expected fewer than the context of " +
                           std::to_string(session_.context()) +
                           "; shorten it or raise the context");
  }
  stats_.n_prompt_tokens = n;
  written_ = prompt_;
  if (start == TextStart::kContinues)
    for (const std::int32_t id : prompt_) detokenizer_.push(id);
}

void Generation::feed_prompt() {
  start_ = Clock::now();
  stats_.n_cached_tokens = static_cast<int>(session_.n_common(prompt_));
  logits_ =
      session_.extend_to(prompt_, [this](int) { return !cancelled_.load(); });
  logits_->eval();
  stats_.prompt_s = seconds(Clock::now() - start_);
}

std::optional<Piece> Generation::finish(FinishReason reason) {
  finish_ = reason;
  std::string rest = detokenizer_.finish();
  if (rest.empty()) return std::nullopt;
  return Piece{std::move(rest), -1};
}

std::optional<Piece> Generation::next() {
  if (finish_ != FinishReason::kNone) return std::nullopt;
  if (cancelled_) return finish(FinishReason::kCancelled);
  if (stats_.n_generated_tokens == options_.max_tokens)
    return finish(FinishReason::kLength);
  if (!logits_) {
    feed_prompt();
    if (cancelled_) return finish(FinishReason::kCancelled);
  } else {
    logits_->eval();
  }

  const std::span<const float> logits(logits_->data<float>(), logits_->size());
  const std::int32_t token =
      sampler_.choose(logits, {written_, prompt_.size()}).token;
  written_.push_back(token);
  const auto now = Clock::now();
  if (stats_.n_generated_tokens++ == 0) {
    first_token_ = now;
    stats_.first_token_s = seconds(now - start_);
  }
  stats_.generate_s = seconds(now - first_token_);
  if (model_->eos_ids.contains(token)) return finish(FinishReason::kStop);

  Piece piece{detokenizer_.push(token), token};
  const auto held = static_cast<int>(session_.tokens().size());
  const bool full = session_.context() != 0 && held + 1 >= session_.context();
  if (full || stats_.n_generated_tokens == options_.max_tokens) {
    finish_ = FinishReason::kLength;
    piece.text += detokenizer_.finish();
    return piece;
  }
  logits_ = session_.decode(token);
  return piece;
}

}  // namespace skua
