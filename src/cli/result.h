#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "skua/skua.h"

namespace skua::cli {

/** An answer as JSON, gathered from its pieces. */
class Result {
 public:
  Result(const Model& model, const GenerationOptions& options);

  void add(const Piece& piece);

  /** text, token_ids, finish_reason, stop, stop_id, seed, the three counts of
   *  tokens, and where they were asked for logprobs and prompt_logprobs; with
   *  tools reasoning, content and tool_calls as in OpenAI's API. The seed is
   *  null where nothing depends on it.
   *  Nothing in it depends on how long something took. */
  Json json(FinishReason reason, const GenerationStats& stats,
            const ParsedMessage& parts) const;

 private:
  Json named(std::int32_t token, double logprob);
  const std::string& text_of(std::int32_t token);

  Model model_;
  bool wants_logprobs_, wants_prompt_logprobs_, has_seed_, has_constraint_,
      has_tools_;
  std::string text_;
  std::vector<std::int32_t> ids_;
  Json logprobs_ = Json::array();
  std::unordered_map<std::int32_t, std::string> texts_;
};

/** "stop", "length", "cancelled", "time" or "error". */
std::string finish_reason_name(FinishReason reason);

}  // namespace skua::cli
