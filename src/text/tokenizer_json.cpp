#include <algorithm>

#include "base/file.h"
#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"
#include "text/json_field.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_json_parts.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

// Ids may have holes, but tables by id must not outgrow the file by much.
std::int64_t id_limit(std::size_t n_tokens) {
  return std::max<std::int64_t>(1 << 20,
                                static_cast<std::int64_t>(n_tokens) * 4);
}

std::shared_ptr<const Vocabulary> read_vocabulary(const JsonField& field) {
  const std::int64_t limit = id_limit(field.object().size());
  std::vector<std::string_view> pieces;
  pieces.reserve(field.object().size());
  for (const auto [text, value] : field.object()) {
    std::int64_t number = 0;
    if (value.get(number) || number < 0 || number >= limit)
      field.child(value, quote(text)).integer(limit);
    const auto id = static_cast<std::size_t>(number);
    if (id >= pieces.size()) pieces.resize(id + 1);
    if (pieces[id].data() != nullptr)
      field.fail("gives id " + std::to_string(id) + " to " + quote(pieces[id]) +
                 " and " + quote(text));
    // An empty piece is a piece, too.
    pieces[id] = text.empty() ? std::string_view("") : text;
  }
  if (pieces.empty()) field.fail("is empty");
  return std::make_shared<const Vocabulary>(pieces, field.where());
}

void read_merge(const JsonField& field, simdjson::dom::element merge,
                Bpe& bpe) {
  std::string_view left, right, text;
  simdjson::dom::array pair;
  if (!merge.get(text)) {
    if (text.starts_with("#version")) return;
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos)
      field.fail("has the merge " + quote(text) + ", expected two tokens");
    left = text.substr(0, space);
    right = text.substr(space + 1);
  } else if (merge.get(pair) || pair.size() != 2 || pair.at(0).get(left) ||
             pair.at(1).get(right)) {
    field.fail("has a merge that is not two tokens");
  }
  bpe.add_merge(left, right, field.where());
}

std::shared_ptr<const TokenModel> read_bpe(
    const JsonField& model, std::shared_ptr<const Vocabulary> vocabulary,
    std::string& kind, SpecialTokens& special) {
  const auto text_of = [&](std::string_view key) {
    const auto field = model.find(key);
    return std::string(field ? field->string() : "");
  };
  double dropout = 0;
  if (const auto field = model.find("dropout");
      field && (model.object().at_key("dropout").get(dropout) || dropout != 0))
    throw Unsupported(field->where(), "merges left out at random");
  BpeOptions options;
  options.fuse_unk = model.boolean_or("fuse_unk", false);
  options.byte_fallback = model.boolean_or("byte_fallback", false);
  options.ignore_merges = model.boolean_or("ignore_merges", false);
  options.prefix = text_of("continuing_subword_prefix");
  options.suffix = text_of("end_of_word_suffix");
  if (const auto field = model.find("unk_token")) {
    options.unk = vocabulary->find(field->string());
    if (!options.unk)
      field->fail("is " + quote(field->string()) +
                  ", which is not in the vocabulary");
    special.unk = options.unk;
  }
  const JsonField merges = model.at("merges");
  auto bpe = std::make_shared<Bpe>(vocabulary, options, merges.array().size());
  for (const auto merge : merges.array()) read_merge(merges, merge, *bpe);
  kind = options.byte_fallback ? "BPE, byte fallback" : "BPE";
  return bpe;
}

std::string_view model_kind(const JsonField& model) {
  if (const auto type = model.find("type")) return type->string();
  if (model.find("merges")) return "BPE";
  if (model.find("unk_id")) return "Unigram";
  return model.find("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

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
  const JsonField model = root.at("model");
  const std::string_view kind = model_kind(model);
  if (kind != "BPE")
    throw Unsupported(model.where(), "the tokenizer model " + quote(kind) +
                                         " is not supported");
  parts.vocabulary = read_vocabulary(model.at("vocab"));
  parts.model = read_bpe(model, parts.vocabulary, parts.kind, parts.special);
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
  if (const auto field = root.find("post_processor"))
    read_post_processor(
        *field, std::max(parts.vocabulary->size(), parts.added.max_id() + 1),
        parts.before, parts.after);
  if (parts.pre_tokenizer.is_byte_level()) parts.kind = "BPE, byte-level";
  return parts;
}

std::shared_ptr<const Tokenizer> finish(TokenizerParts parts) {
  SpecialTokens& special = parts.special;
  if (special.eos) special.eos_ids.insert(*special.eos);
  add_turn_ends(parts);
  special.add_bos = special.bos && !parts.before.empty() &&
                    parts.before.front() == *special.bos;
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_tokenizer_json(
    std::string_view text, const std::string& where) {
  simdjson::dom::parser parser;
  return finish(read_parts(parse_big_json(parser, text, where)));
}

std::shared_ptr<const Tokenizer> load_tokenizer(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.json";
  const MappedFile file(path);
  const auto bytes = file.bytes();
  simdjson::dom::parser parser;
  TokenizerParts parts = read_parts(parse_big_json(
      parser, {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
      path.string()));
  read_tokenizer_config(folder, parts);
  return finish(std::move(parts));
}

}  // namespace skua
