#pragma once

#include "models/load.h"
#include "skua/generation.h"

namespace skua {

/** The defaults with what generation_config.json says in Hugging Face's
 *  spelling: where do_sample is true temperature (1 if absent), top_p, top_k,
 *  min_p and typical_p; in any case repetition_penalty (over all of the
 *  history), no_repeat_ngram_size, suppress_tokens, min_new_tokens and
 *  max_new_tokens. Throws InvalidInput that names the file and what is wrong
 *  in it. */
GenerationOptions model_options(const LoadedModel& model);

}  // namespace skua
