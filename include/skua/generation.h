#pragma once

#include <cstdint>
#include <string>

namespace skua {

/** How an answer is made. */
struct GenerationOptions {
  /** Most tokens to generate. */
  int max_tokens = 1024;
  /** 0 takes the likeliest token each time; higher is more varied. */
  double temperature = 0.0;
  /** Only the likeliest tokens whose probabilities reach this sum; 0 or
   *  1: off. */
  double top_p = 1.0;
  /** Only tokens at least this likely relative to the likeliest; 0: off. */
  double min_p = 0.0;
  /** Only so many of the likeliest tokens; 0: off. */
  int top_k = 0;
  /** The same seed, model and options give the same text. */
  std::uint64_t seed = 0;
};

/** A step of a stream: the text it adds, which is whole UTF-8 and may be
 *  empty, and its token. */
struct Piece {
  std::string text;
  std::int32_t token = -1;  // -1 for text held back until the end
};

enum class FinishReason {
  kNone,       // still going
  kStop,       // the model ended its answer
  kLength,     // max_tokens or the context is reached
  kCancelled,  // Stream::cancel
};

/** What a stream has done so far. */
struct GenerationStats {
  int n_prompt_tokens = 0;     // of the prompt
  int n_cached_tokens = 0;     // of these, kept from the turn before
  int n_generated_tokens = 0;  // with the one that ended the answer
  double prompt_s = 0;         // to the first logits
  double first_token_s = 0;    // from the start of the stream
  double generate_s = 0;       // after the first token
};

}  // namespace skua
