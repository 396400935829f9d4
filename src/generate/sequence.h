#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/constraint.h"
#include "generate/draft_length.h"
#include "generate/drafter.h"
#include "generate/foresight.h"
#include "generate/sampler.h"
#include "generate/session.h"
#include "generate/stop_matcher.h"
#include "models/load.h"
#include "skua/generation.h"
#include "text/detokenizer.h"

namespace skua {

/** Whether a text stands for itself or goes on from the prompt's: the first
 *  loses the space that a tokenizer puts before every text. */
enum class TextStart { kFresh, kContinues };

/** What an answer goes on from, and leaves to the next. */
struct Memory {
  Memory(Session&& of_model) : session(std::move(of_model)) {}

  Session session;
  std::optional<Session> draft = {};  // of the draft model
};

/** One answer: its tokens, how they are chosen, its text and how it ends. A
 *  Generator runs the model for it, alone or beside others. */
class Sequence {
 public:
  /** memory  may hold part of the prompt from before; stays as it is where
   *          the constructor throws
   *  draft_model  guesses tokens ahead, where options ask for that
   *  Throws InvalidInput for options out of range, a prompt that is empty or
   *  has ids outside the vocabulary, or more tokens of prompt and answer than
   *  the context holds; Unsupported for a model without a tokenizer. */
  Sequence(std::shared_ptr<const LoadedModel> model, Memory&& memory,
           std::vector<std::int32_t> prompt, const GenerationOptions& options,
           TextStart start = TextStart::kFresh,
           const DraftModel* draft_model = nullptr);

  /** The next piece that is ready. Throws, once, what made the answer fail;
   *  the pieces before it come first. */
  std::optional<Piece> pop();
  /** Whether the answer has ended; pieces may be left to pop. */
  bool ended() const { return finish_ != FinishReason::kNone; }
  /** Ends the answer before its next step. May be called on any thread. */
  void cancel() { cancelled_ = true; }
  /** Why it ended; kNone as long as there are pieces to come. */
  FinishReason finish_reason() const;
  const GenerationStats& stats() const { return stats_; }
  /** What the model has read and written; the Sequence is over then. */
  Memory take_memory();

  /** The rest is for Generator. Ends the answer if it was cancelled, its time
   *  is over or no token is asked for; returns whether it goes on. */
  bool begin_step();
  /** Guesses tokens ahead for the next step, in which n_other rows of other
   *  sequences go on as well. */
  void draft(const StepCost& cost, int n_other);
  /** How many tokens it has for its next step. */
  int n_ready() const;
  /** Whether its prompt is read and its answer goes on. */
  bool answers() const { return stats_.n_generated_tokens > 0; }
  /** Adds the first n of them to a step. */
  void add_to(Batch& batch, std::vector<std::int32_t>& ids, int n);
  /** Takes the logits [n, V] that it asked for of its n_rows of that step, and
   *  their hidden states [n_rows, D] where it reads them. */
  void take(std::span<const float> logits, int n_rows,
            std::span<const float> hidden = {});
  /** Whether its drafts go on from the model's hidden states. */
  bool reads_hidden() const { return drafter_ && drafter_->reads_hidden(); }
  /** Whether foresight() most likely tells the token that a step of n_rows
   *  gives, and the one after it is wanted too. */
  bool foreseeable(int n_rows);
  /** For the token after n_ahead that are still to come. */
  Foresight foresight(std::size_t n_ahead) const {
    return {foreseer_, tokens_.size() - n_prompt_ + n_ahead};
  }
  /** Finds out what the grammar allows next while the step still runs. */
  void prepare();
  std::int32_t newest() const { return tokens_.back(); }
  /** Ends the answer with an error that pop() throws. */
  void fail(std::exception_ptr error);
  Session& session() { return session_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool may_draft_next() const;
  int n_unread() const;  // tokens that wait for a step
  std::string new_text(std::string text);
  double since_start() const;
  void take_prompt(std::span<const float> logits, int n_rows);
  void take_prompt_logprobs(std::span<const float> logits, int n_rows);
  void use_drafter(const std::function<void(Drafter&)>& use);
  History history() { return {tokens_, n_prompt_, constraint_.get()}; }
  int choose_tokens(std::span<const float> logits);
  void count_draft(int n_chosen, int n_stood);
  void append_forced();
  void append(Choice choice, bool from_draft = false);
  void end(FinishReason reason, Piece piece);

  std::shared_ptr<const LoadedModel> model_;
  GenerationOptions options_;
  std::vector<std::int32_t> tokens_;  // the prompt's and the answer's
  std::size_t n_prompt_;
  std::unique_ptr<Constraint> constraint_;  // null where there is none
  Sampler sampler_;
  std::shared_ptr<const Sampler> foreseer_;  // as sampler_ is at the beginning
  Detokenizer detokenizer_;
  std::string prompt_tail_;  // what the detokenizer still holds of the prompt
  StopMatcher stops_;
  std::unique_ptr<Drafter> drafter_;
  DraftLength draft_length_;
  Draft draft_;  // of the step under way
  bool draft_is_forced_ = false;
  Session session_;  // taken last, when nothing throws any more
  std::deque<Piece> pieces_;
  std::exception_ptr error_;
  std::atomic<bool> cancelled_ = false;
  FinishReason finish_ = FinishReason::kNone;
  GenerationStats stats_;
  std::optional<Clock::time_point> start_;
};

}  // namespace skua
