#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"
#include "text/json_field.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_json_models.h"
#include "text/tokenizer_json_parts.h"

namespace skua {
namespace {

AddedToken read_added(const JsonField& field, std::int64_t id) {
  AddedToken token;
  token.id = static_cast<std::int32_t>(id);
  token.content = field.at("content").string();
  token.single_word = field.boolean_or("single_word", false);
  token.lstrip = field.boolean_or("lstrip", false);
  token.rstrip = field.boolean_or("rstrip", false);
  token.special = field.boolean_or("special", false);
  token.normalized = field.boolean_or("normalized", !token.special);
  return token;
}

std::vector<AddedToken> read_added_tokens(const JsonField& root,
                                          const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  const auto list = root.find("added_tokens");
  if (!list) return tokens;
  const std::int64_t limit = id_limit(
      static_cast<std::size_t>(vocabulary.size()) + list->array().size());
  for (const auto element : list->array()) {
    const JsonField field = list->child(element, std::to_string(tokens.size()));
    AddedToken token = read_added(field, field.at("id").integer(limit));
    // As in the reference, the model's own id of a text counts.
    if (const auto id = vocabulary.find(token.content))
      token.id = *id;
    else if (vocabulary.has(token.id))
      field.fail("has the id " + std::to_string(token.id) + " of " +
                 quote(vocabulary.piece(token.id)));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

TokenizerParts read_parts(const JsonField& root) {
  TokenizerParts parts;
  read_model(root.at("model"), parts);
  if (const auto field = root.find("normalizer"))
    read_normalizer(*field, parts.normalizer);
  if (const auto field = root.find("pre_tokenizer"))
    read_pre_tokenizer(*field, parts.pre_tokenizer);
  parts.added = AddedVocabulary(read_added_tokens(root, *parts.vocabulary),
                                parts.normalizer, root.where());
  if (const auto field = root.find("decoder"))
    read_decoder(*field, parts.decoder);
  else
    parts.decoder.add(DecodeJoin{" "});
  const std::int32_t n_tokens =
      std::max(parts.vocabulary->size(), parts.added.max_id() + 1);
  if (const auto field = root.find("post_processor"))
    parts.post_processor = read_post_processor(*field, n_tokens);
  if (const auto field = root.find("truncation"))
    parts.truncation = read_truncation(*field);
  if (const auto field = root.find("padding"))
    parts.padding = read_padding(*field, n_tokens);
  if (parts.pre_tokenizer.is_byte_level() && parts.kind == "BPE")
    parts.kind = "BPE, byte-level";
  speed_up(parts);
  return parts;
}

}  // namespace

TokenizerParts read_tokenizer_json(std::string_view text,
                                   const std::string& where) {
  simdjson::dom::parser parser;
  return read_parts(parse_big_json(parser, text, where));
}

std::shared_ptr<const Tokenizer> finish_tokenizer(TokenizerParts parts) {
  SpecialTokens& special = parts.special;
  if (special.eos) special.eos_ids.insert(*special.eos);
  add_turn_ends(parts);
  const auto& single = parts.post_processor.single;
  special.add_bos = special.bos && !single.empty() && !single[0].ids.empty() &&
                    single[0].ids[0] == *special.bos;
  return std::make_shared<const Tokenizer>(std::move(parts));
}

std::shared_ptr<const Tokenizer> parse_tokenizer_json(
    std::string_view text, const std::string& where) {
  return finish_tokenizer(read_tokenizer_json(text, where));
}

}  // namespace skua
