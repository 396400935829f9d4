#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/drafter.h"
#include "models/load.h"
#include "models/mtp.h"

namespace skua {

/** Lets the head for multi-token prediction that the model was loaded with
 *  guess the token after the next, and from its own hidden state those after
 *  that. Row i of the head is given what the model made of token i, and token
 *  i + 1. What the model had read before the answer began is not seen: the
 *  head's positions count from there. */
class HeadDrafter final : public Drafter {
 public:
  /** model  has a head
   *  cache  how that of the answer stores; the head's is its own
   *  seed, options  of the answer
   *  with_distributions  whether the answer's rule needs them */
  HeadDrafter(std::shared_ptr<const LoadedModel> model,
              const CacheOptions& cache, const GenerationOptions& options,
              TokenRoles roles, std::uint64_t seed, bool with_distributions);

  Draft propose(const History& history, int n) override;
  bool reads_hidden() const override { return true; }
  void read(std::span<const std::int32_t> tokens, int position,
            std::span<const float> hidden) override;
  /** Rows that the head has read and that stand. */
  int n_read() const { return n_read_; }

 private:
  int n_waiting() const;
  MtpHead::Step run(std::span<const std::int32_t> ids, const mx::array& hidden,
                    bool wanted);
  std::optional<MtpHead::Step> read_waiting(
      std::span<const std::int32_t> tokens, bool wanted);
  void restart(int position);

  std::shared_ptr<const LoadedModel> model_;
  const MtpHead& head_;
  DraftChooser chooser_;
  int most_read_;  // 0: no bound
  Cache cache_;
  int sequence_;
  int first_ = 0;               // token of the cache's first row
  int n_read_ = 0;              // rows of the cache that stand
  std::vector<float> waiting_;  // hidden states [n, D] of the tokens after them
};

}  // namespace skua
