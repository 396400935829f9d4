#include "text/tokenizer_json_models.h"

#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"
#include "text/unigram.h"
#include "text/word_models.h"

namespace skua {

std::int64_t id_limit(std::size_t n_tokens) {
  return std::max<std::int64_t>(1 << 20,
                                static_cast<std::int64_t>(n_tokens) * 4);
}

namespace {

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

// None for the line of the version, which is no merge.
std::optional<Bpe::MergeText> read_merge(const JsonField& field,
                                         simdjson::dom::element merge) {
  std::string_view left, right, text;
  simdjson::dom::array pair;
  if (!merge.get(text)) {
    if (text.starts_with("#version")) return std::nullopt;
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos)
      field.fail("has the merge " + quote(text) + ", expected two tokens");
    left = text.substr(0, space);
    right = text.substr(space + 1);
  } else if (merge.get(pair) || pair.size() != 2 || pair.at(0).get(left) ||
             pair.at(1).get(right)) {
    field.fail("has a merge that is not two tokens");
  }
  return Bpe::MergeText{left, right};
}

void read_merges(const JsonField& field, Bpe& bpe) {
  std::vector<Bpe::MergeText> merges;
  merges.reserve(field.array().size());
  for (const auto element : field.array())
    if (const auto merge = read_merge(field, element)) merges.push_back(*merge);
  bpe.add_merges(merges, field.where());
}

std::string text_or(const JsonField& model, std::string_view key,
                    std::string_view fallback) {
  const auto field = model.find(key);
  return std::string(field ? field->string() : fallback);
}

void read_bpe(const JsonField& model, TokenizerParts& parts) {
  parts.vocabulary = read_vocabulary(model.at("vocab"));
  double dropout = 0;
  if (const auto field = model.find("dropout");
      field && (model.object().at_key("dropout").get(dropout) || dropout != 0))
    throw Unsupported(field->where(), "merges left out at random");
  BpeOptions options;
  options.fuse_unk = model.boolean_or("fuse_unk", false);
  options.byte_fallback = model.boolean_or("byte_fallback", false);
  options.ignore_merges = model.boolean_or("ignore_merges", false);
  options.prefix = text_or(model, "continuing_subword_prefix", "");
  options.suffix = text_or(model, "end_of_word_suffix", "");
  if (const auto field = model.find("unk_token")) {
    options.unk = parts.vocabulary->find(field->string());
    if (!options.unk)
      field->fail("is " + quote(field->string()) +
                  ", which is not in the vocabulary");
    parts.special.unk = options.unk;
  }
  const JsonField merges = model.at("merges");
  const bool byte_fallback = options.byte_fallback;
  auto bpe = std::make_shared<Bpe>(parts.vocabulary, std::move(options),
                                   merges.array().size());
  read_merges(merges, *bpe);
  parts.model = std::move(bpe);
  parts.kind = byte_fallback ? "BPE, byte fallback" : "BPE";
}

void read_unigram(const JsonField& model, TokenizerParts& parts) {
  const JsonField vocab = model.at("vocab");
  std::vector<std::string_view> pieces;
  std::vector<double> scores;
  for (const auto element : vocab.array()) {
    simdjson::dom::array pair;
    std::string_view text;
    double score = 0;
    if (element.get(pair) || pair.size() != 2 || pair.at(0).get(text) ||
        pair.at(1).get(score) || !std::isfinite(score))
      vocab.fail("has at " + std::to_string(pieces.size()) +
                 " what is no pair of text and score");
    pieces.push_back(text.empty() ? std::string_view("") : text);
    scores.push_back(score);
  }
  if (pieces.empty()) vocab.fail("is empty");
  parts.vocabulary =
      std::make_shared<const Vocabulary>(pieces, vocab.where(), true);
  UnigramOptions options;
  options.byte_fallback = model.boolean_or("byte_fallback", false);
  if (const auto unk = model.find("unk_id"))
    options.unk = static_cast<std::int32_t>(
        unk->integer(static_cast<std::int64_t>(pieces.size())));
  parts.special.unk = options.unk;
  parts.kind = options.byte_fallback ? "Unigram, byte fallback" : "Unigram";
  parts.model = std::make_shared<Unigram>(parts.vocabulary, std::move(scores),
                                          std::move(options));
}

void read_word_piece(const JsonField& model, TokenizerParts& parts) {
  constexpr std::int64_t kMaxChars = 1 << 30;
  parts.vocabulary = read_vocabulary(model.at("vocab"));
  WordPieceOptions options;
  options.unk = parts.vocabulary->find(text_or(model, "unk_token", "[UNK]"));
  options.prefix = text_or(model, "continuing_subword_prefix", "##");
  if (const auto field = model.find("max_input_chars_per_word"))
    options.max_chars = static_cast<std::size_t>(field->integer(kMaxChars));
  parts.special.unk = options.unk;
  parts.model =
      std::make_shared<WordPiece>(parts.vocabulary, std::move(options));
  parts.kind = "WordPiece";
}

void read_word_level(const JsonField& model, TokenizerParts& parts) {
  parts.vocabulary = read_vocabulary(model.at("vocab"));
  parts.special.unk =
      parts.vocabulary->find(text_or(model, "unk_token", "<unk>"));
  parts.model =
      std::make_shared<WordLevel>(parts.vocabulary, parts.special.unk);
  parts.kind = "WordLevel";
}

std::string_view model_kind(const JsonField& model) {
  if (const auto type = model.find("type")) return type->string();
  if (model.find("merges")) return "BPE";
  if (model.find("unk_id")) return "Unigram";
  return model.find("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

void read_model(const JsonField& model, TokenizerParts& parts) {
  const std::string_view kind = model_kind(model);
  if (kind == "BPE")
    read_bpe(model, parts);
  else if (kind == "Unigram")
    read_unigram(model, parts);
  else if (kind == "WordPiece")
    read_word_piece(model, parts);
  else if (kind == "WordLevel")
    read_word_level(model, parts);
  else
    throw Unsupported(model.where(), "the tokenizer model " + quote(kind) +
                                         " is not supported");
}

}  // namespace skua
