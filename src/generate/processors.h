#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "generate/repetition.h"
#include "skua/generation.h"

namespace skua {

class Constraint;

/** What is to be known of a model's tokens. */
struct TokenRoles {
  int vocab_size = 0;
  std::set<std::int32_t> eos_ids = {};         // what ends an answer
  std::vector<std::int32_t> newline_ids = {};  // what a line break comes to
  /** The text of a token, for DRY's breakers. */
  std::function<std::string(std::int32_t)> text = {};
};

/** The tokens that come before the one to choose, and what it must fit. */
struct History {
  std::span<const std::int32_t> tokens;  // the prompt and what followed
  std::size_t n_prompt = 0;
  Constraint* constraint = nullptr;  // that has accepted what followed

  /** How many tokens the answer has. */
  std::size_t step() const { return tokens.size() - n_prompt; }
};

/** What the processors of one step go by. */
struct Turn {
  const GenerationOptions& options;
  const TokenRoles& roles;
  const History& history;
  Breakers& breakers;
  std::size_t step;  // how many tokens the answer has
};

/** What a processor goes by, beside the options. */
enum class By { kStep, kHistory };

/** Whether a processor would change the logits at this step. */
bool has_processors(const Turn& turn);
bool has_processors(const Turn& turn, By depends);

/** Changes the logits [V] as the constraint and the options from suppress_ids
 *  to `processors` say, in the order of generation.md. Tokens of the history
 * outside of the vocabulary do not count. Costs as much as the windows of the
 * history are long, but for force_ids and callbacks. */
void process(const Turn& turn, std::span<float> logits);

/** Does of this what goes by the step alone; the history may be empty. */
void process_by_step(const Turn& turn, std::span<float> logits);

/** Which option left logits [V] of which none is finite, or one is NaN or
 *  +inf; empty if the logits are so before any. Calls no callback: where
 *  nothing else did it, these did. */
std::string fault_of(const Turn& turn, std::span<const float> logits);

}  // namespace skua
