#include "text/tokenizer.h"

#include <algorithm>

#include "skua/error.h"
#include "text/bpe.h"
#include "text/detokenizer.h"
#include "text/piece_cache.h"
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

void speed_up(TokenizerParts& parts) {
  auto* bpe = dynamic_cast<Bpe*>(parts.model.get());
  if (!bpe) return;
  if (parts.pre_tokenizer.ends_in_byte_level() && bpe->take_bytes())
    parts.pre_tokenizer.leave_bytes();
  else
    bpe->cut_long_pieces();
}

Tokenizer::Tokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
  size_ = std::max(parts_.vocabulary->size(), parts_.added.max_id() + 1);
  bool behind = false;
  for (const TemplatePiece& piece : parts_.post_processor.single) {
    behind = behind || piece.text >= 0;
    auto& ids = behind ? after_ : before_;
    ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
  }
}

Document Tokenizer::split(std::string_view text, EncodeOptions options,
                          bool tracked) const {
  if (text.size() >= kMaxTextBytes)
    throw InvalidInput("tokenizer", "text is too long, got " +
                                        std::to_string(text.size()) +
                                        " bytes, expected less than " +
                                        std::to_string(kMaxTextBytes));
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos)
    throw InvalidInput("tokenizer",
                       "text is not UTF-8 at byte " + std::to_string(invalid));
  Document document = parts_.added.split(text, parts_.normalizer,
                                         options.parse_special, tracked);
  parts_.pre_tokenizer.apply(document);
  return document;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            EncodeOptions options) const {
  const Document document = split(text, options, false);
  PieceCache cache(*parts_.model, document.pieces.size());
  std::vector<Token> tokens;
  for (const TextPiece& piece : document.pieces) {
    if (piece.id >= 0)
      tokens.push_back({piece.id});
    else
      cache.encode(document.view(piece), tokens);
  }
  std::vector<std::int32_t> ids;
  ids.reserve(tokens.size() + before_.size() + after_.size());
  if (options.add_special) ids = before_;
  for (const Token& token : tokens) ids.push_back(token.id);
  if (options.add_special) ids.insert(ids.end(), after_.begin(), after_.end());
  return ids;
}

Encoding Tokenizer::encode_one(std::string_view text, std::int32_t type_id,
                               EncodeOptions options) const {
  const Document document = split(text, options, true);
  PieceCache cache(*parts_.model, document.pieces.size());
  const AlignedText& source = document.text;
  Encoding encoding;
  std::vector<Token> tokens;
  for (const TextPiece& piece : document.pieces) {
    if (piece.id >= 0) {
      encoding.push(piece.id, type_id, source.source(piece.begin, piece.end),
                    std::string(document.view(piece)), false);
      continue;
    }
    const std::size_t n_before = tokens.size();
    cache.encode(document.view(piece), tokens);
    for (std::size_t i = n_before; i < tokens.size(); ++i) {
      const Token& token = tokens[i];
      const std::size_t end = std::min(piece.begin + token.end, piece.end);
      encoding.push(token.id, type_id,
                    source.source(piece.begin + token.begin, end),
                    std::string(parts_.vocabulary->piece(token.id)), false);
    }
  }
  return encoding;
}

Encoding Tokenizer::finish(std::vector<Encoding> encodings,
                           const std::vector<std::string_view>& texts,
                           EncodeOptions options) const {
  const PostProcessor& post = parts_.post_processor;
  const bool of_pair = encodings.size() > 1;
  if (parts_.truncation && options.limit) {
    Truncation truncation = *parts_.truncation;
    const std::size_t n_added = options.add_special ? post.n_added(of_pair) : 0;
    if (n_added > truncation.max_length)
      throw InvalidInput("tokenizer",
                         "truncation to " +
                             std::to_string(truncation.max_length) +
                             " tokens, expected room for the " +
                             std::to_string(n_added) + " special ones");
    truncation.max_length -= n_added;
    truncate(encodings[0], of_pair ? &encodings[1] : nullptr, truncation);
  }
  return post.apply(std::move(encodings), texts, options.add_special);
}

Encoding Tokenizer::encode_with_offsets(std::string_view text,
                                        EncodeOptions options) const {
  return std::move(encode_batch({text}, options)[0]);
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second,
                                EncodeOptions options) const {
  std::vector<Encoding> one;
  one.push_back(
      finish({encode_one(first, 0, options), encode_one(second, 1, options)},
             {first, second}, options));
  if (parts_.padding && options.limit) pad(one, *parts_.padding);
  return std::move(one[0]);
}

std::vector<Encoding> Tokenizer::encode_batch(
    const std::vector<std::string_view>& texts, EncodeOptions options) const {
  std::vector<Encoding> batch;
  for (const auto text : texts)
    batch.push_back(finish({encode_one(text, 0, options)}, {text}, options));
  if (parts_.padding && options.limit) pad(batch, *parts_.padding);
  return batch;
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
