#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "generate/sampler.h"
#include "generate/session.h"
#include "models/load.h"

namespace skua {

/** Tokens that may follow, to be verified by the model in one step. */
struct Draft {
  std::vector<std::int32_t> tokens;
  /** The distribution that each was drawn from, over ids that both models
   *  have; none where they were not drawn. */
  std::vector<std::vector<double>> distributions;
  /** What one more token costs; 0 where that was not seen. */
  double seconds_per_token = 0;
};

struct Verdict {
  Choice choice;
  bool stands = false;  // the choice is the drafted token
};

/** The token that follows `history` where the i-th token of a draft is
 *  proposed; i may be past its end. A token without a distribution stands if
 *  it is what would have been chosen anyway. One drawn from q stands with
 *  probability min(1, p / q), else one is drawn from max(0, p - q): the result
 *  is distributed as p.
 *  logits  [V] after history
 *  Source: Leviathan et al., 2023, algorithm 1. */
Verdict verify(Sampler& sampler, std::span<const float> logits,
               const History& history, const Draft& draft, std::size_t i);

/** Guesses the tokens that follow. Belongs to one sequence. */
class Drafter {
 public:
  virtual ~Drafter() = default;
  /** At most n tokens that may follow `history`, which goes on from that of
   *  the last call: tokens that did not stand are not in it. */
  virtual Draft propose(const History& history, int n) = 0;
  /** Seconds, as far as it knows, that propose() takes before its first token,
   *  for text that it has not read. */
  virtual double seconds_to_read(const History& /*history*/) const { return 0; }

  /** Whether it is to be told what the model makes of the tokens it reads. */
  virtual bool reads_hidden() const { return false; }
  /** Called after each step of the model, before tokens are chosen from it.
   *  tokens    so far: what was drafted is not among them
   *  position  of the first token that the step read
   *  hidden    [n, D] of all that it read, drafted ones too */
  virtual void read(std::span<const std::int32_t> /*tokens*/, int /*position*/,
                    std::span<const float> /*hidden*/) {}

  /** What it has read of the text, for the next answer; it is over then. */
  virtual std::optional<Session> take_session() { return std::nullopt; }
};

/** Chooses drafted tokens as the answer's are chosen, but for the caller's own
 *  processors. The constraint of a history is as it was when choose()
 *  returns. */
class DraftChooser {
 public:
  /** options, roles, seed  of the answer
   *  vocab_size  of who drafts
   *  with_distributions  whether the answer's rule needs them */
  DraftChooser(const GenerationOptions& options, TokenRoles roles,
               int vocab_size, std::uint64_t seed, bool with_distributions);

  /** n tokens that follow `history`: the first from `logits`, each other from
   *  what next(the one before) returns. Their sizes are vocab_size. */
  Draft choose(const History& history, int n, mx::array logits,
               const std::function<mx::array(std::int32_t)>& next);

 private:
  std::size_t vocab_size_;  // that both models have
  Sampler sampler_;
  bool with_distributions_;
};

/** Cuts a draft without distributions where the constraint of its history does
 *  not let it go on: the rest could not stand. */
void keep_what_fits(Draft& draft, Constraint& constraint);

/** Guesses that what followed the last tokens before follows them again, by
 *  the longest match, of equals the newest.
 *  Source: Saxena, "Prompt lookup decoding", 2023. */
class PromptLookup final : public Drafter {
 public:
  Draft propose(const History& history, int n) override;

 private:
  // Ends of the newest places where a pair of tokens stands.
  static constexpr std::size_t kPlaces = 8;
  using Places = std::vector<std::size_t>;

  std::unordered_map<std::uint64_t, Places> pairs_;
  std::size_t n_indexed_ = 0;
};

/** A model that drafts for others, and the cache of its sequences. */
struct DraftModel {
  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<Cache> cache;
};

/** Lets a smaller model go on with the text, choosing as the answer does but
 *  for the caller's own processors. Proposes nothing until it has read the
 *  text, a chunk of it in each call, the first a short one: it tells how long
 *  the others take. */
class ModelDrafter final : public Drafter {
 public:
  /** session  of the model; may have read part of the text before
   *  seed, options  of the answer
   *  with_distributions  whether the answer's rule needs them */
  ModelDrafter(std::shared_ptr<const LoadedModel> model, Session&& session,
               const GenerationOptions& options, TokenRoles roles,
               std::uint64_t seed, bool with_distributions);

  Draft propose(const History& history, int n) override;
  double seconds_to_read(const History& history) const override;
  std::optional<Session> take_session() override { return std::move(session_); }
  const Session& session() const { return session_; }

 private:
  std::size_t n_to_read(const History& history) const;

  std::shared_ptr<const LoadedModel> model_;
  Session session_;
  DraftChooser chooser_;
  double read_s_ = 0;  // of a token of what it reads; 0 before the first
};

/** Throws InvalidInput that names the first difference unless both models have
 *  the same tokens: sizes up to padding, special tokens, and the pieces of a
 *  sample of ids. */
void check_draft(const LoadedModel& target, const LoadedModel& draft);

}  // namespace skua
