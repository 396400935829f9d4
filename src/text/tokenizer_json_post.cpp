#include "base/quote.h"
#include "skua/error.h"
#include "text/tokenizer_json_parts.h"

namespace skua {
namespace {

constexpr std::int64_t kMaxTypes = 1 << 16;
constexpr std::int64_t kMaxLength = std::int64_t{1} << 40;

// [text, id]
TemplatePiece read_token(const JsonField& field, std::int32_t n_tokens) {
  simdjson::dom::element id;
  std::string_view text;
  if (field.array().at(0).get(text) || field.array().at(1).get(id))
    field.fail("is no pair of text and id");
  TemplatePiece piece;
  piece.ids = {
      static_cast<std::int32_t>(field.child(id, "1").integer(n_tokens))};
  piece.tokens = {std::string(text)};
  return piece;
}

TemplatePiece read_special(const JsonField& field, std::int32_t n_tokens) {
  TemplatePiece piece;
  const JsonField ids = field.at("ids");
  for (const auto element : ids.array())
    piece.ids.push_back(
        static_cast<std::int32_t>(ids.child(element, "id").integer(n_tokens)));
  if (const auto tokens = field.find("tokens"))
    for (const auto element : tokens->array())
      piece.tokens.emplace_back(tokens->child(element, "token").string());
  return piece;
}

// Each text may be there once, so that results are bounded by it.
std::vector<TemplatePiece> read_template(const JsonField& field,
                                         std::string_view key,
                                         std::int32_t n_tokens, int n_texts) {
  std::vector<TemplatePiece> pieces;
  std::vector<int> seen(2);
  for_each_step(field, key, [&](const JsonField& item) {
    const bool is_text = item.find("Sequence").has_value();
    const JsonField part = item.at(is_text ? "Sequence" : "SpecialToken");
    const std::string_view name = part.at("id").string();
    TemplatePiece piece;
    if (is_text) {
      if (name != "A" && name != "B")
        item.fail("names the text " + quote(name) + ", expected A or B");
      piece.text = name == "A" ? 0 : 1;
      if (piece.text >= n_texts || seen[static_cast<std::size_t>(piece.text)]++)
        item.fail("does not name each text once");
    } else {
      piece = read_special(field.at("special_tokens").at(name), n_tokens);
    }
    if (const auto type = part.find("type_id"))
      piece.type_id = static_cast<std::int32_t>(type->integer(kMaxTypes));
    pieces.push_back(std::move(piece));
  });
  if (!seen[0] || (n_texts > 1 && !seen[1]))
    field.at(key).fail("is a template without the text");
  return pieces;
}

void read_step(const JsonField& field, std::int32_t n_tokens, bool& templated,
               PostProcessor& post) {
  const std::string_view kind = field.at("type").string();
  const bool roberta = kind == "RobertaProcessing";
  if (kind == "Sequence") {
    for_each_step(field, "processors", [&](const JsonField& item) {
      read_step(item, n_tokens, templated, post);
    });
    return;
  }
  if ((kind == "ByteLevel" || roberta) &&
      field.boolean_or("trim_offsets", true))
    post.trims.push_back({field.boolean_or("add_prefix_space", true)});
  if (kind == "ByteLevel") return;
  if (templated)
    throw Unsupported(field.where(),
                      "a second post-processor that adds "
                      "tokens is not supported");
  templated = true;
  if (kind == "TemplateProcessing") {
    post.single = read_template(field, "single", n_tokens, 1);
    if (field.find("pair"))
      post.pair = read_template(field, "pair", n_tokens, 2);
  } else if (kind == "BertProcessing" || roberta) {
    set_bert_template(read_token(field.at("cls"), n_tokens),
                      read_token(field.at("sep"), n_tokens), roberta, post);
  } else {
    refuse(field, "post-processor", kind);
  }
}

Side read_side(const JsonField& field) {
  const auto side = field.find("direction");
  if (!side || side->string() == "Right") return Side::kRight;
  if (side->string() != "Left") refuse(*side, "direction", side->string());
  return Side::kLeft;
}

std::size_t read_count(const JsonField& field, std::string_view key) {
  const auto count = field.find(key);
  return count ? static_cast<std::size_t>(count->integer(kMaxLength)) : 0;
}

}  // namespace

PostProcessor read_post_processor(const JsonField& field,
                                  std::int32_t n_tokens) {
  PostProcessor post;
  bool templated = false;
  read_step(field, n_tokens, templated, post);
  return post;
}

Truncation read_truncation(const JsonField& field) {
  Truncation truncation;
  truncation.max_length =
      static_cast<std::size_t>(field.at("max_length").integer(kMaxLength));
  truncation.stride = read_count(field, "stride");
  truncation.side = read_side(field);
  if (const auto strategy = field.find("strategy")) {
    const std::string_view name = strategy->string();
    if (name == "OnlyFirst")
      truncation.strategy = TruncationStrategy::kOnlyFirst;
    else if (name == "OnlySecond")
      truncation.strategy = TruncationStrategy::kOnlySecond;
    else if (name != "LongestFirst")
      refuse(*strategy, "truncation strategy", name);
  }
  return truncation;
}

Padding read_padding(const JsonField& field, std::int32_t n_tokens) {
  // A fixed length beyond this is no real file.
  constexpr std::int64_t kMaxPadding = 1 << 24;
  Padding padding;
  if (const auto strategy = field.find("strategy")) {
    if (strategy->is_object())
      padding.fixed =
          static_cast<std::size_t>(strategy->at("Fixed").integer(kMaxPadding));
    else if (strategy->string() != "BatchLongest")
      refuse(*strategy, "padding strategy", strategy->string());
  }
  if (const auto multiple = field.find("pad_to_multiple_of"))
    padding.multiple = static_cast<std::size_t>(multiple->integer(kMaxPadding));
  padding.side = read_side(field);
  if (const auto id = field.find("pad_id"))
    padding.id = static_cast<std::int32_t>(id->integer(n_tokens));
  if (const auto type = field.find("pad_type_id"))
    padding.type_id = static_cast<std::int32_t>(type->integer(kMaxTypes));
  if (const auto token = field.find("pad_token"))
    padding.token = token->string();
  return padding;
}

}  // namespace skua
