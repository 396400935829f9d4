#pragma once

#include "text/decoder.h"
#include "text/json_field.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace skua {

/** The parts of a tokenizer.json beside its model. All throw InvalidInput
 *  for a field that is missing or wrong, Unsupported for a kind that is not
 *  known; both name the field. Lists may nest. */
void read_normalizer(const JsonField& field, Normalizer& normalizer);
void read_pre_tokenizer(const JsonField& field, PreTokenizer& pre_tokenizer);
void read_decoder(const JsonField& field, Decoder& decoder);

/** Ids that the post-processor puts around one text; each is in
 *  [0, n_tokens). */
void read_post_processor(const JsonField& field, std::int32_t n_tokens,
                         std::vector<std::int32_t>& before,
                         std::vector<std::int32_t>& after);

}  // namespace skua
