#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/json.h"
#include "models/model.h"

namespace skua {

/** What conformance checks compare. */
struct Probe {
  struct Top {
    std::int32_t id, second_id;
    float logit, second_logit;
  };
  std::vector<float> logits_last;               // [V], after the last token
  std::map<int, std::vector<float>> logits_at;  // [V] after these tokens
  std::vector<std::int32_t> greedy;             // the tokens that follow
  std::vector<Top> greedy_top;                  // the best two at each step
};

/** Feeds `ids` in steps of `chunk` tokens (0: all at once) and continues
 *  greedily for n_greedy tokens.
 *  Throws InvalidInput for an id outside the vocabulary, a position in `at`
 *  outside the prompt, or negative counts. */
Probe probe_logits(const CausalLM& model, std::span<const std::int32_t> ids,
                   std::span<const int> at, int n_greedy, int chunk);

/** The log-probabilities [V] after processors and filters, before temperature.
 *  request  {"logits": [V], "history": [ids], "options": {...}}, the last two
 *           may be absent; a logit that is null is -inf. Of the history the
 *           last "n_generated" tokens are the answer's, by default none.
 *           "eos_ids" are those that end an answer, by default none.
 *  Throws InvalidInput for other keys and for values out of range. */
std::vector<float> probe_filter(const Json& request);

/** The same, computed by an Oracle. Throws as it does. */
Probe probe_oracle(const CausalLM& model, std::span<const std::int32_t> ids,
                   std::span<const int> at, int n_greedy);

}  // namespace skua
