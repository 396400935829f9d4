#pragma once

#include "text/decoder.h"
#include "text/encoding.h"
#include "text/json_field.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace skua {

/** All parts in the text of a tokenizer.json; throws as below. */
TokenizerParts read_tokenizer_json(std::string_view text,
                                   const std::string& where);

/** Completes what a loader found about special tokens. */
std::shared_ptr<const Tokenizer> finish_tokenizer(TokenizerParts parts);

/** The parts of a tokenizer.json beside its model. All throw InvalidInput
 *  for a field that is missing or wrong, Unsupported for a kind that is not
 *  known; both name the field. Lists may nest. */
void read_normalizer(const JsonField& field, Normalizer& normalizer);
void read_pre_tokenizer(const JsonField& field, PreTokenizer& pre_tokenizer);
void read_decoder(const JsonField& field, Decoder& decoder);

/** Each id is in [0, n_tokens). */
PostProcessor read_post_processor(const JsonField& field,
                                  std::int32_t n_tokens);
Truncation read_truncation(const JsonField& field);
Padding read_padding(const JsonField& field, std::int32_t n_tokens);

/** Calls `read` for each element of the list at `key`; more than 64 are no
 *  real file, but a way to make texts grow without bound. */
template <typename Read>
void for_each_step(const JsonField& field, std::string_view key,
                   const Read& read) {
  constexpr std::size_t kMaxSteps = 64;
  const JsonField list = field.at(key);
  if (list.array().size() > kMaxSteps)
    list.fail("has too many steps, expected at most " +
              std::to_string(kMaxSteps));
  std::size_t i = 0;
  for (const auto element : list.array())
    read(list.child(element, std::to_string(i++)));
}

/** Throws Unsupported: `what` of the kind `kind` is not known. */
[[noreturn]] void refuse(const JsonField& field, std::string_view what,
                         std::string_view kind);

}  // namespace skua
