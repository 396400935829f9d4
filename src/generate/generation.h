#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "generate/sampler.h"
#include "generate/session.h"
#include "models/load.h"
#include "skua/generation.h"
#include "text/detokenizer.h"

namespace skua {

/** Whether a text stands for itself or goes on from the prompt's: the first
 *  loses the space that a tokenizer puts before every text. */
enum class TextStart { kFresh, kContinues };

/** One answer: feeds a prompt to a session and then samples token by token. */
class Generation {
 public:
  /** session  may hold part of the prompt from before
   *  Throws InvalidInput for options out of range or a prompt that is empty
   *  or too long for the context. */
  Generation(std::shared_ptr<const LoadedModel> model, Session session,
             std::vector<std::int32_t> prompt, const GenerationOptions& options,
             TextStart start = TextStart::kFresh);

  /** The next piece of text, or none once the answer has ended. */
  std::optional<Piece> next();
  /** Ends the answer before its next token. May be called on any thread. */
  void cancel() { cancelled_ = true; }

  FinishReason finish_reason() const { return finish_; }
  const GenerationStats& stats() const { return stats_; }
  /** What the model has read and written; the Generation is over then. */
  Session take_session() { return std::move(session_); }

 private:
  using Clock = std::chrono::steady_clock;

  std::optional<Piece> finish(FinishReason reason);
  void feed_prompt();

  std::shared_ptr<const LoadedModel> model_;
  Session session_;
  std::vector<std::int32_t> prompt_;
  std::vector<std::int32_t> written_;  // the prompt and what followed
  GenerationOptions options_;
  Sampler sampler_;
  Detokenizer detokenizer_;
  std::optional<mx::array> logits_;  // after all tokens so far
  std::atomic<bool> cancelled_ = false;
  FinishReason finish_ = FinishReason::kNone;
  GenerationStats stats_;
  Clock::time_point start_, first_token_;
};

}  // namespace skua
