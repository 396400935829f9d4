#include "cli/result.h"

#include <optional>

#include "generate/options.h"
#include "text/chat_messages.h"

namespace skua::cli {
namespace {

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace

Result::Result(const Model& model, const GenerationOptions& options)
    : model_(model),
      wants_logprobs_(options.logprobs || options.top_logprobs > 0),
      wants_prompt_logprobs_(options.prompt_logprobs),
      has_seed_(options.seed || options.temperature > 0),
      has_constraint_(!constraints_of(options).empty()),
      has_tools_(!options.tools.empty()) {}

void Result::add(const Piece& piece) {
  text_ += piece.text;
  if (piece.token < 0) return;
  ids_.push_back(piece.token);
  if (!piece.logprob) return;
  Json entry = named(piece.token, *piece.logprob);
  if (!piece.top_logprobs.empty()) {
    Json& top = entry["top"] = Json::array();
    for (const TokenLogprob& other : piece.top_logprobs)
      top.push_back(named(other.token, other.logprob));
  }
  logprobs_.push_back(std::move(entry));
}

Json Result::json(FinishReason reason, const GenerationStats& stats,
                  const ParsedMessage& parts) const {
  Json json = {{"text", text_},
               {"token_ids", ids_},
               {"finish_reason", finish_reason_name(reason)},
               {"stop", or_null(stats.stop)},
               {"stop_id", or_null(stats.stop_id)},
               {"seed", has_seed_ ? Json(stats.seed) : Json()},
               {"prompt_tokens", stats.n_prompt_tokens},
               {"cached_tokens", stats.n_cached_tokens},
               {"generated_tokens", stats.n_generated_tokens}};
  if (has_tools_) {
    json["reasoning"] = parts.reasoning;
    json["content"] = parts.content;
    json["tool_calls"] = calls_json(parts.calls);
  }
  if (has_constraint_) json["forced_tokens"] = stats.n_forced_tokens;
  if (wants_logprobs_) json["logprobs"] = logprobs_;
  if (wants_prompt_logprobs_) json["prompt_logprobs"] = stats.prompt_logprobs;
  return json;
}

Json Result::named(std::int32_t token, double logprob) {
  return {{"id", token}, {"text", text_of(token)}, {"logprob", logprob}};
}

// Its text behind another token: the first of a text may lose a space.
const std::string& Result::text_of(std::int32_t token) {
  const auto [at, is_new] = texts_.try_emplace(token);
  if (is_new) {
    const std::string once = model_.detokenize({token});
    const std::string twice = model_.detokenize({token, token});
    at->second = twice.starts_with(once) ? twice.substr(once.size()) : once;
  }
  return at->second;
}

std::string finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kTime:
      return "time";
    case FinishReason::kError:
      return "error";
    case FinishReason::kNone:
      break;
  }
  return "none";
}

}  // namespace skua::cli
