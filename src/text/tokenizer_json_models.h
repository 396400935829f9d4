#pragma once

#include "text/json_field.h"
#include "text/tokenizer.h"

namespace skua {

/** Reads the member `model` of a tokenizer.json: vocabulary, model, kind and
 *  the unknown token of `parts`. Throws InvalidInput, Unsupported naming the
 *  field. */
void read_model(const JsonField& model, TokenizerParts& parts);

/** Ids may have holes, but tables by id must not outgrow the file by much. */
std::int64_t id_limit(std::size_t n_tokens);

}  // namespace skua
