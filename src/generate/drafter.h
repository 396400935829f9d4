#pragma once

#include <cstdint>
#include <memory>
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
};

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
 *  text, a chunk of it in each call. */
class ModelDrafter final : public Drafter {
 public:
  /** seed, options  of the answer
   *  with_distributions  whether the answer's rule needs them */
  ModelDrafter(const DraftModel& draft, const GenerationOptions& options,
               TokenRoles roles, std::uint64_t seed, bool with_distributions);

  Draft propose(const History& history, int n) override;
  const Session& session() const { return session_; }

 private:
  std::shared_ptr<const LoadedModel> model_;
  std::size_t vocab_size_;  // that both models have
  Session session_;
  Sampler sampler_;
  bool with_distributions_;
};

/** Throws InvalidInput that names the first difference unless both models have
 *  the same tokens: sizes up to padding, special tokens, and the pieces of a
 *  sample of ids. */
void check_draft(const LoadedModel& target, const LoadedModel& draft);

}  // namespace skua
