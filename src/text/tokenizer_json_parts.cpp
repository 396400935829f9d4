#include "text/tokenizer_json_parts.h"

#include "base/base64.h"
#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {

void refuse(const JsonField& field, std::string_view what,
            std::string_view kind) {
  throw Unsupported(field.where(), "the " + std::string(what) + " " +
                                       quote(kind) + " is not supported");
}

namespace {

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

void read_bert_normalizer(const JsonField& field, Normalizer& normalizer) {
  BertClean step;
  step.clean_text = field.boolean_or("clean_text", true);
  step.handle_chinese_chars = field.boolean_or("handle_chinese_chars", true);
  step.lowercase = field.boolean_or("lowercase", true);
  step.strip_accents = field.boolean_or("strip_accents", step.lowercase);
  normalizer.add(step);
}

std::size_t read_length(const JsonField& field) {
  constexpr std::int64_t kMaxLength = 1 << 30;
  const auto length = field.find("length");
  if (!length) return 5;
  if (length->integer(kMaxLength) == 0) length->fail("is 0, expected more");
  return static_cast<std::size_t>(length->integer(kMaxLength));
}

void read_charsmap(const JsonField& field, Normalizer& normalizer) {
  const JsonField map = field.at("precompiled_charsmap");
  const auto blob = decode_base64(map.string());
  if (!blob) map.fail("is not base64");
  // An empty one replaces nothing.
  if (!blob->empty())
    normalizer.add(
        MapChars{std::make_shared<const Charsmap>(*blob, map.where())});
}

}  // namespace

void read_normalizer(const JsonField& field, Normalizer& normalizer) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each_step(field, "normalizers", [&](const JsonField& item) {
      read_normalizer(item, normalizer);
    });
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
  } else if (kind == "BertNormalizer") {
    read_bert_normalizer(field, normalizer);
  } else if (kind == "Nmt") {
    normalizer.add(NmtClean{});
  } else if (kind == "Precompiled") {
    read_charsmap(field, normalizer);
  } else if (kind == "ByteLevel") {
    normalizer.add(SpellBytes{});
  } else {
    refuse(field, "normalizer", kind);
  }
}

void read_pre_tokenizer(const JsonField& field, PreTokenizer& pre_tokenizer) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each_step(field, "pretokenizers", [&](const JsonField& item) {
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
  } else if (kind == "BertPreTokenizer") {
    pre_tokenizer.add(SplitByChar{is_white_space, SplitBehavior::kRemoved});
    pre_tokenizer.add(SplitByChar{is_punctuation, SplitBehavior::kIsolated});
  } else if (kind == "CharDelimiterSplit") {
    const JsonField delimiter = field.at("delimiter");
    pre_tokenizer.add(SplitByRegex{std::make_shared<const Regex>(Regex::literal(
                                       one_char(delimiter), delimiter.where())),
                                   SplitBehavior::kRemoved});
  } else if (kind == "UnicodeScripts") {
    pre_tokenizer.add(split_by_script());
  } else if (kind == "FixedLength") {
    pre_tokenizer.add(SplitLength{read_length(field)});
  } else {
    refuse(field, "pre-tokenizer", kind);
  }
}

void read_decoder(const JsonField& field, Decoder& decoder) {
  const std::string_view kind = field.at("type").string();
  if (kind == "Sequence") {
    for_each_step(field, "decoders",
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
  } else if (kind == "BPEDecoder") {
    decoder.add(DecodeBpe{std::string(field.at("suffix").string())});
  } else if (kind == "WordPiece") {
    decoder.add(DecodeWordPiece{std::string(field.at("prefix").string()),
                                field.boolean_or("cleanup", true)});
  } else if (kind == "CTC") {
    decoder.add(
        DecodeCtc{std::string(field.at("pad_token").string()),
                  std::string(field.at("word_delimiter_token").string()),
                  field.boolean_or("cleanup", true)});
  } else {
    refuse(field, "decoder", kind);
  }
}

}  // namespace skua
