#include "text/detokenizer.h"

namespace skua {

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer,
                         bool skip_special)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      stream_(tokenizer_->parts_.decoder) {}

std::string Detokenizer::push(std::int32_t id) {
  std::string out;
  const TokenizerParts& parts = tokenizer_->parts_;
  if (const AddedToken* added = parts.added.by_id(id)) {
    if (!(skip_special_ && added->special))
      stream_.push(parts.added.decoded(*added), out);
  } else if (parts.vocabulary->has(id)) {
    stream_.push(std::string(parts.vocabulary->piece(id)), out);
  }
  return out;
}

std::string Detokenizer::finish() {
  std::string out;
  stream_.finish(out);
  return out;
}

}  // namespace skua
