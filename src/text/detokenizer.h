#pragma once

#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace skua {

/** Decodes one stream of tokens as it comes. */
class Detokenizer {
 public:
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer,
                       bool skip_special = false);

  /** The text that `id` adds: whole characters only, what a later token may
   *  still change is held back. */
  std::string push(std::int32_t id);
  /** The rest. All results joined are Tokenizer::decode of all ids. */
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  DecoderStream stream_;
};

}  // namespace skua
