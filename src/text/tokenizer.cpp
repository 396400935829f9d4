#include "text/tokenizer.h"

#include <algorithm>

#include "skua/error.h"
#include "text/detokenizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

// Byte offsets of symbols are 32-bit, and byte-level text is twice as long.
constexpr std::size_t kMaxTextBytes = std::size_t{512} << 20;

}  // namespace

void add_turn_ends(TokenizerParts& parts) {
  for (const std::string_view name :
       {"<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>"}) {
    const AddedToken* token = parts.added.find(name);
    // Where an answer has several messages, <|end|> ends each of them.
    const bool of_a_message =
        name == "<|end|>" && parts.added.find("<|return|>") != nullptr;
    if (token != nullptr && token->special && !of_a_message)
      parts.special.eos_ids.insert(token->id);
  }
}

Tokenizer::Tokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
  size_ = std::max(parts_.vocabulary->size(), parts_.added.max_id() + 1);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            EncodeOptions options) const {
  if (text.size() >= kMaxTextBytes)
    throw InvalidInput("tokenizer", "text is too long, got " +
                                        std::to_string(text.size()) +
                                        " bytes, expected less than " +
                                        std::to_string(kMaxTextBytes));
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos)
    throw InvalidInput("tokenizer",
                       "text is not UTF-8 at byte " + std::to_string(invalid));
  std::vector<TextPiece> pieces =
      parts_.added.split(text, parts_.normalizer, options.parse_special);
  parts_.pre_tokenizer.apply(pieces);
  std::vector<std::int32_t> ids;
  if (options.add_special) ids = parts_.before;
  for (const TextPiece& piece : pieces) {
    if (piece.id >= 0)
      ids.push_back(piece.id);
    else if (!piece.text.empty())
      parts_.model->encode(piece.text, ids);
  }
  if (options.add_special)
    ids.insert(ids.end(), parts_.after.begin(), parts_.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids,
                              bool skip_special) const {
  // Not an owner: the stream ends before this call does.
  const std::shared_ptr<const Tokenizer> self(
      std::shared_ptr<const Tokenizer>(), this);
  Detokenizer detokenizer(self, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += detokenizer.push(id);
  return text + detokenizer.finish();
}

void Tokenizer::check_id(std::int32_t id) const {
  if (id < 0 || id >= size_)
    throw InvalidInput("tokenizer",
                       "no such token, got id " + std::to_string(id) +
                           ", expected less than " + std::to_string(size_));
}

std::string Tokenizer::piece(std::int32_t id) const {
  check_id(id);
  if (const AddedToken* added = parts_.added.by_id(id)) return added->content;
  return std::string(parts_.vocabulary->piece(id));
}

std::string Tokenizer::token_bytes(std::int32_t id) const {
  check_id(id);
  if (const AddedToken* added = parts_.added.by_id(id)) return added->content;
  return parts_.decoder.bytes_of(parts_.vocabulary->piece(id));
}

bool Tokenizer::is_special(std::int32_t id) const {
  check_id(id);
  const AddedToken* added = parts_.added.by_id(id);
  return added && added->special;
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view piece) const {
  if (const AddedToken* added = parts_.added.find(piece)) return added->id;
  return parts_.vocabulary->find(piece);
}

}  // namespace skua
