#include "text/sentencepiece.h"

#include <algorithm>

#include "text/bpe.h"
#include "text/split_model.h"
#include "text/unigram.h"

namespace skua {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

class Builder {
 public:
  explicit Builder(const SentencePieceSpec& spec) : spec_(spec) {}

  TokenizerParts build(std::vector<AddedToken> added) {
    parts_.vocabulary =
        std::make_shared<const Vocabulary>(spec_.pieces, spec_.where);
    for (std::size_t i = 0; i < spec_.types.size(); ++i)
      if (is(i, PieceType::kUserDefined))
        fixed_.push_back(static_cast<std::int32_t>(i));
    normalizer();
    decoder();
    model();
    for (std::size_t i = 0; i < spec_.types.size(); ++i)
      if (is(i, PieceType::kControl) || is(i, PieceType::kUnknown))
        added.push_back(special(i));
    parts_.added =
        AddedVocabulary(std::move(added), parts_.normalizer, spec_.where);
    parts_.special.unk = spec_.unk;
    parts_.special.bos = spec_.bos;
    parts_.special.eos = spec_.eos;
    parts_.special.pad = spec_.pad;
    if (spec_.byte_fallback) parts_.kind += ", byte fallback";
    return std::move(parts_);
  }

 private:
  bool is(std::size_t i, PieceType type) const {
    return spec_.types[i] == type;
  }

  AddedToken special(std::size_t i) const {
    AddedToken token;
    token.id = static_cast<std::int32_t>(i);
    token.content = spec_.pieces[i];
    token.special = true;
    return token;
  }

  std::shared_ptr<const Regex> literal(std::string_view text) const {
    return std::make_shared<const Regex>(Regex::literal(text, spec_.where));
  }

  void normalizer() {
    SentencePieceRules rules;
    if (!spec_.charsmap.empty())
      rules.map = std::make_shared<const Charsmap>(
          spec_.charsmap, spec_.where + " precompiled_charsmap");
    std::vector<std::pair<std::string_view, std::int32_t>> fixed;
    for (const auto id : fixed_)
      fixed.emplace_back(parts_.vocabulary->piece(id), id);
    rules.fixed = std::make_shared<const Trie>(std::move(fixed));
    rules.remove_extra_spaces = spec_.remove_extra_whitespaces;
    const std::string mark(spec_.escape_whitespaces ? kSpaceMark : " ");
    rules.mark = mark;
    parts_.normalizer.add(std::move(rules));
    if (!spec_.add_dummy_prefix) return;
    if (spec_.whitespace_as_suffix)
      parts_.normalizer.add(Append{mark});
    else
      parts_.normalizer.add(Prepend{mark});
  }

  void decoder() {
    Decoder& decoder = parts_.decoder;
    if (spec_.escape_whitespaces)
      decoder.add(DecodeReplace{literal(kSpaceMark), " "});
    decoder.add(DecodeByteFallback{});
    decoder.add(DecodeFuse{});
    if (spec_.add_dummy_prefix || spec_.remove_extra_whitespaces)
      decoder.add(DecodeStrip{" ", 1, 0});
  }

  void model() {
    switch (spec_.model) {
      case SentencePieceSpec::Model::kUnigram:
        parts_.kind = "SentencePiece Unigram";
        return unigram();
      case SentencePieceSpec::Model::kBpe:
        parts_.kind = "SentencePiece BPE";
        return bpe();
      case SentencePieceSpec::Model::kWord:
        parts_.kind = "SentencePiece words";
        return split(true);
      case SentencePieceSpec::Model::kChar:
        parts_.kind = "SentencePiece characters";
        return split(false);
    }
  }

  void split(bool words) {
    SplitModelOptions options;
    options.words = words;
    options.unk = spec_.unk;
    options.byte_fallback = spec_.byte_fallback;
    options.fixed = fixed_;
    for (std::size_t i = 0; i < spec_.types.size(); ++i)
      options.unused.push_back(is(i, PieceType::kControl) ||
                               is(i, PieceType::kByte));
    parts_.model =
        std::make_shared<SplitModel>(parts_.vocabulary, std::move(options));
  }

  void bpe() {
    ScoredBpeOptions options;
    options.unk = spec_.unk;
    options.byte_fallback = spec_.byte_fallback;
    options.fuse_unk = !spec_.byte_fallback;
    options.fixed = fixed_;
    for (std::size_t i = 0; i < spec_.types.size(); ++i)
      options.unmergeable.push_back(!is(i, PieceType::kNormal) &&
                                    !is(i, PieceType::kUserDefined));
    parts_.model = std::make_shared<ScoredBpe>(parts_.vocabulary, spec_.scores,
                                               std::move(options));
  }

  void unigram() {
    UnigramOptions options;
    options.unk = spec_.unk;
    options.byte_fallback = spec_.byte_fallback;
    options.float_sums = true;
    options.fixed = fixed_;
    for (std::size_t i = 0; i < spec_.types.size(); ++i)
      options.unused.push_back(!is(i, PieceType::kNormal) &&
                               !is(i, PieceType::kUserDefined));
    parts_.model = std::make_shared<Unigram>(
        parts_.vocabulary,
        std::vector<double>(spec_.scores.begin(), spec_.scores.end()),
        std::move(options));
  }

  const SentencePieceSpec& spec_;
  TokenizerParts parts_;
  std::vector<std::int32_t> fixed_;  // user-defined tokens
};

}  // namespace

TokenizerParts build_sentencepiece(const SentencePieceSpec& spec,
                                   std::vector<AddedToken> added) {
  return Builder(spec).build(std::move(added));
}

}  // namespace skua
