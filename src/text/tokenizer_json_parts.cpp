#include "text/tokenizer_json_parts.h"

#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

// More is no real file, but a way to make texts grow without bound.
constexpr std::size_t kMaxSteps = 64;

[[noreturn]] void refuse(const JsonField& field, std::string_view what,
                         std::string_view kind) {
  throw Unsupported(field.where(), "the " + std::string(what) + " " +
                                       quote(kind) + " is not supported");
}

// Calls `read` for each element of the list at `key`.
template <typename Read>
void for_each(const JsonField& field, std::string_view key, const Read& read) {
  const JsonField list = field.at(key);
  if (list.array().size() > kMaxSteps)
    list.fail("has too many steps, expected at most " +
              std::to_string(kMaxSteps));
  std::size_t i = 0;
  for (const auto element : list.array())
    read(list.child(element, std::to_string(i++)));
}

std::string one_char(const JsonField& field) {
  const std::string_view text = field.string();
  if (text.empty() || utf8_at(text, 0).n != text.size())
    field.fail("is " + quote(text) + ", expected one character");
  return std::string(text);
}

std::shared_ptr<const Regex> read_pattern(const JsonField& field) {
  if (const auto text = field.find("String"))
    return std::make_shared<const Regex>(
        Regex::literal(text->string(), text->where()));
  const JsonField regex = field.at("Regex");
  return std::make_shared<const Regex>(regex.string(), regex.where());
}

SplitBehavior read_behavior(const JsonField& field) {
  const std::string_view name = field.string();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  refuse(field, "split behavior", name);
}

// `prepend_scheme`, or the older `add_prefix_space`.
PrependScheme read_scheme(const JsonField& field) {
  PrependScheme scheme = PrependScheme::kAlways;
  const auto named = field.find("prepend_scheme");
  if (named) {
    const std::string_view name = named->string();
    if (name == "first")
      scheme = PrependScheme::kFirst;
    else if (name == "never")
      scheme = PrependScheme::kNever;
    else if (name != "always")
      refuse(*named, "prepend scheme", name);
  }
  if (field.boolean_or("add_prefix_space", true)) return scheme;
  if (named && scheme != PrependScheme::kNever)
    field.fail("has add_prefix_space false beside another prepend_scheme");
  return PrependScheme::kNever;
}

Metaspace read_metaspace(const JsonField& field) {
  return {one_char(field.at("replacement")), read_scheme(field),
          field.boolean_or("split", true)};
}

// [text, id] or a list of ids.
std::int32_t read_id(const JsonField& field, std::int32_t n_tokens) {
  simdjson::dom::element id;
  if (field.array().at(1).get(id)) field.fail("is no pair of text and id");
  return static_cast<std::int32_t>(field.child(id, "1").integer(n_tokens));
}

void read_template(const JsonField& field, std::int32_t n_tokens,
                   std::vector<std::int32_t>& before,
                   std::vector<std::int32_t>& after) {
  bool seen = false;
  std::vector<std::int32_t> front;
  for_each(field, "single", [&](const JsonField& item) {
    if (item.find("Sequence")) {
      if (seen || item.at("Sequence").at("id").string() != "A")
        item.fail("does not name the text once");
      seen = true;
      return;
    }
    const std::string_view name = item.at("SpecialToken").at("id").string();
    const JsonField ids = field.at("special_tokens").at(name).at("ids");
    for (const auto element : ids.array()) {
      const auto id = ids.child(element, "id").integer(n_tokens);
      (seen ? after : front).push_back(static_cast<std::int32_t>(id));
    }
  });
  if (!seen) field.fail("has a template without the text");
  before.insert(before.begin(), front.begin(), front.end());
}

}  // namespace

void read_normalizer(const JsonField& field, Normalizer& normalizer) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each(field, "normalizers",
             [&](const JsonField& item) { read_normalizer(item, normalizer); });
  } else if (kind == "NFC") {
    normalizer.add(NormalizeUnicode{UnicodeForm::kNfc});
  } else if (kind == "NFD") {
    normalizer.add(NormalizeUnicode{UnicodeForm::kNfd});
  } else if (kind == "NFKC") {
    normalizer.add(NormalizeUnicode{UnicodeForm::kNfkc});
  } else if (kind == "NFKD") {
    normalizer.add(NormalizeUnicode{UnicodeForm::kNfkd});
  } else if (kind == "Lowercase") {
    normalizer.add(Lowercase{});
  } else if (kind == "StripAccents") {
    normalizer.add(StripAccents{});
  } else if (kind == "Strip") {
    normalizer.add(StripSpace{field.at("strip_left").boolean(),
                              field.at("strip_right").boolean()});
  } else if (kind == "Prepend") {
    normalizer.add(Prepend{std::string(field.at("prepend").string())});
  } else if (kind == "Replace") {
    normalizer.add(ReplaceAll{read_pattern(field.at("pattern")),
                              std::string(field.at("content").string())});
  } else {
    refuse(field, "normalizer", kind);
  }
}

void read_pre_tokenizer(const JsonField& field, PreTokenizer& pre_tokenizer) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each(field, "pretokenizers", [&](const JsonField& item) {
      read_pre_tokenizer(item, pre_tokenizer);
    });
  } else if (kind == "ByteLevel") {
    if (pre_tokenizer.is_byte_level())
      refuse(field, "pre-tokenizer", "ByteLevel behind ByteLevel");
    pre_tokenizer.add(ByteLevel{field.boolean_or("add_prefix_space", true),
                                field.boolean_or("use_regex", true)});
  } else if (kind == "Split") {
    pre_tokenizer.add(SplitByRegex{read_pattern(field.at("pattern")),
                                   read_behavior(field.at("behavior")),
                                   field.boolean_or("invert", false)});
  } else if (kind == "Digits") {
    pre_tokenizer.add(
        SplitByChar{is_numeric, field.boolean_or("individual_digits", false)
                                    ? SplitBehavior::kIsolated
                                    : SplitBehavior::kContiguous});
  } else if (kind == "Punctuation") {
    const auto behavior = field.find("behavior");
    pre_tokenizer.add(
        SplitByChar{is_punctuation, behavior ? read_behavior(*behavior)
                                             : SplitBehavior::kIsolated});
  } else if (kind == "Whitespace") {
    pre_tokenizer.add(SplitWords{});
  } else if (kind == "WhitespaceSplit") {
    pre_tokenizer.add(SplitByChar{is_white_space, SplitBehavior::kRemoved});
  } else if (kind == "Metaspace") {
    pre_tokenizer.add(read_metaspace(field));
  } else {
    refuse(field, "pre-tokenizer", kind);
  }
}

void read_decoder(const JsonField& field, Decoder& decoder) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each(field, "decoders",
             [&](const JsonField& item) { read_decoder(item, decoder); });
  } else if (kind == "ByteLevel") {
    decoder.add(DecodeByteLevel{});
  } else if (kind == "ByteFallback") {
    decoder.add(DecodeByteFallback{});
  } else if (kind == "Fuse") {
    decoder.add(DecodeFuse{});
  } else if (kind == "Strip") {
    constexpr std::int64_t kMaxCut = 1 << 20;
    decoder.add(DecodeStrip{
        one_char(field.at("content")),
        static_cast<std::size_t>(field.at("start").integer(kMaxCut)),
        static_cast<std::size_t>(field.at("stop").integer(kMaxCut))});
  } else if (kind == "Replace") {
    decoder.add(DecodeReplace{read_pattern(field.at("pattern")),
                              std::string(field.at("content").string())});
  } else if (kind == "Metaspace") {
    const Metaspace step = read_metaspace(field);
    decoder.add(DecodeMetaspace{step.replacement,
                                step.scheme != PrependScheme::kNever});
  } else {
    refuse(field, "decoder", kind);
  }
}

void read_post_processor(const JsonField& field, std::int32_t n_tokens,
                         std::vector<std::int32_t>& before,
                         std::vector<std::int32_t>& after) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each(field, "processors", [&](const JsonField& item) {
      read_post_processor(item, n_tokens, before, after);
    });
  } else if (kind == "TemplateProcessing") {
    read_template(field, n_tokens, before, after);
  } else if (kind == "RobertaProcessing" || kind == "BertProcessing") {
    before.insert(before.begin(), read_id(field.at("cls"), n_tokens));
    after.push_back(read_id(field.at("sep"), n_tokens));
  } else if (kind != "ByteLevel") {
    refuse(field, "post-processor", kind);
  }
}

}  // namespace skua
