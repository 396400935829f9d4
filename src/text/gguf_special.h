#pragma once

#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace skua {

/** What a kind of tokenizer puts around a text where the file does not say. */
struct GgufAdds {
  bool bos = false, eos = false;
  bool sep = false;  // between the texts of a pair and behind them
};

/** Reads the special tokens, and makes the post-processor of those that are put
 *  around a text. `parts` has its vocabulary and kind already. */
void read_gguf_special(const GgufVocabulary& tokens, const GgufAdds& adds,
                       TokenizerParts& parts);

}  // namespace skua
