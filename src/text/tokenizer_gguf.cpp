#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"
#include "text/gguf_pre_kinds.h"
#include "text/gguf_special.h"
#include "text/gguf_spelling.h"
#include "text/gguf_vocabulary.h"
#include "text/plamo2.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text/word_models.h"

namespace skua {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

class Loader {
  using Tokens = GgufVocabulary;

 public:
  explicit Loader(const GgufFile& file) : file_(file), tokens_(file) {}

  std::shared_ptr<const Tokenizer> load() {
    const std::string model(file_.string(key("model")));
    if (model == "none" || model == "no_vocab")
      throw NotFound(where("model"),
                     "is " + quote(model) + ": the file has no tokenizer");
    tokens_.read_tokens();
    if (model == "gpt2")
      merged(std::string(file_.string_or(key("pre"), "default")));
    else if (model == "gemma4")
      merged(model);
    else if (model == "llama")
      scored();
    else if (model == "bert")
      word_piece();
    else if (model == "t5")
      unigram();
    else if (model == "rwkv")
      longest_token();
    else if (model == "plamo2")
      plamo2();
    else
      throw Unsupported(where("model"), "the tokenizer model " + quote(model) +
                                            " is not supported");
    // SentencePiece finds its user-defined tokens itself.
    if (model != "t5")
      parts_.added =
          AddedVocabulary(added_tokens(), parts_.normalizer, where("tokens"));
    read_gguf_special(tokens_, adds_, parts_);
    speed_up(parts_);
    return std::make_shared<const Tokenizer>(std::move(parts_));
  }

 private:
  static std::string key(const char* name) { return GgufVocabulary::key(name); }
  std::string where(const char* name) const { return tokens_.where(name); }

  void set_vocabulary() {
    parts_.vocabulary =
        std::make_shared<const Vocabulary>(tokens_.tokens(), where("tokens"));
  }

  // The tokens in another spelling, kept while the vocabulary is built.
  void set_vocabulary(const std::vector<std::string>& spelled) {
    std::vector<std::string_view> pieces(spelled.begin(), spelled.end());
    for (auto& piece : pieces)
      if (piece.empty()) piece = {};
    parts_.vocabulary =
        std::make_shared<const Vocabulary>(pieces, where("tokens"), true);
  }

  std::vector<AddedToken> added_tokens() const {
    // Phi-3's tokens take the white space behind them; the file cannot say.
    const bool phi3 = file_.string_or("general.architecture", "") == "phi3";
    std::vector<AddedToken> tokens;
    for (std::size_t i = 0; i < tokens_.types().size(); ++i) {
      const auto id = static_cast<std::int32_t>(i);
      if ((tokens_.types()[i] != Tokens::kUnknown &&
           tokens_.types()[i] != Tokens::kControl &&
           tokens_.types()[i] != Tokens::kUserDefined) ||
          !parts_.vocabulary->has(id))
        continue;
      AddedToken token;
      token.id = id;
      token.content = parts_.vocabulary->piece(id);
      token.special = tokens_.types()[i] != Tokens::kUserDefined;
      token.rstrip = phi3 && token.content != "<unk>" &&
                     token.content != "<s>" && token.content != "<|endoftext|>";
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

  void merged(const std::string& pre) {
    set_vocabulary();
    const PreKind* kind = find_pre_kind(pre);
    if (!kind)
      throw Unsupported(where("pre"), "the pre-tokenizer " + quote(pre) +
                                          " is not supported");
    if (kind->nfc) parts_.normalizer.add(NormalizeUnicode{UnicodeForm::kNfc});
    if (kind->marks_spaces) mark_spaces();
    for (const auto pattern : kind->patterns)
      parts_.pre_tokenizer.add(
          SplitByRegex{std::make_shared<const Regex>(pattern, where("pre"))});
    if (kind->byte_level) {
      parts_.pre_tokenizer.add(ByteLevel{.use_regex = false});
      parts_.decoder.add(DecodeByteLevel{});
    } else if (!kind->marks_spaces) {
      parts_.decoder.add(DecodeFuse{});
    }
    adds_.sep = kind->add_sep;
    adds_.bos = kind->add_bos;
    const auto merges = file_.strings(key("merges"));
    if (merges.empty())
      throw InvalidInput(where("merges"), "is missing or empty");
    BpeOptions options;
    options.ignore_merges = kind->ignore_merges;
    options.byte_fallback = !kind->byte_level;
    auto bpe = std::make_shared<Bpe>(parts_.vocabulary, options, merges.size());
    std::vector<Bpe::MergeText> texts;
    texts.reserve(merges.size());
    for (const auto merge : merges) {
      const std::size_t space = merge.find(' ', 1);
      if (space == merge.npos)
        throw InvalidInput(where("merges"), "has the merge " + quote(merge) +
                                                ", expected two tokens");
      texts.push_back({merge.substr(0, space), merge.substr(space + 1)});
    }
    bpe->add_merges(texts, where("merges"));
    parts_.model = bpe;
    parts_.kind =
        (kind->byte_level ? "BPE, byte-level (" : "BPE (") + pre + ")";
  }

  std::shared_ptr<const Regex> literal(std::string_view text) const {
    return std::make_shared<const Regex>(Regex::literal(text, where("tokens")));
  }

  // U+2581 for each space, and back.
  void mark_spaces() {
    parts_.normalizer.add(ReplaceAll{literal(" "), std::string(kSpaceMark)});
    parts_.decoder.add(DecodeReplace{literal(kSpaceMark), " "});
    parts_.decoder.add(DecodeByteFallback{});
    parts_.decoder.add(DecodeFuse{});
  }

  void scored() {
    set_vocabulary();
    ScoredBpeOptions options;
    options.unk = tokens_.special_id("unknown_token_id");
    options.unmergeable.assign(tokens_.size(), false);
    for (std::size_t i = 0; i < tokens_.types().size(); ++i)
      options.unmergeable[i] = tokens_.types()[i] == Tokens::kUnknown ||
                               tokens_.types()[i] == Tokens::kControl ||
                               tokens_.types()[i] == Tokens::kByte;
    const bool prefix = file_.boolean_or(key("add_space_prefix"), true);
    if (prefix) parts_.normalizer.add(Prepend{std::string(kSpaceMark)});
    mark_spaces();
    if (prefix) parts_.decoder.add(DecodeStrip{" ", 1, 0});
    adds_.bos = true;
    parts_.model = std::make_shared<ScoredBpe>(
        parts_.vocabulary, tokens_.scores(), std::move(options));
    parts_.kind = "SentencePiece BPE, byte fallback";
  }

  // As SentencePiece's own files.
  void unigram() {
    SentencePieceSpec spec;
    spec.where = where("tokens");
    spec.pieces = tokens_.tokens();
    spec.scores = tokens_.scores();
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const std::int64_t type =
          tokens_.types().empty() ? Tokens::kNormal : tokens_.types()[i];
      if (type < Tokens::kNormal || type > Tokens::kByte)
        throw InvalidInput(where("token_type"),
                           "has at " + std::to_string(i) + " the type " +
                               std::to_string(type) + ", expected 1 to 6");
      spec.types.push_back(static_cast<PieceType>(type));
      spec.byte_fallback = spec.byte_fallback || type == Tokens::kByte;
    }
    spec.add_dummy_prefix = file_.boolean_or(key("add_space_prefix"), true);
    spec.remove_extra_whitespaces =
        file_.boolean_or(key("remove_extra_whitespaces"), false);
    std::string charsmap;
    for (const std::int64_t byte : file_.integers(key("precompiled_charsmap")))
      charsmap += static_cast<char>(byte);
    spec.charsmap = charsmap;
    spec.unk = tokens_.special_id("unknown_token_id");
    parts_ = build_sentencepiece(spec);
    adds_.eos = true;
  }

  // BERT's own spelling: the file marks the first token of a word by U+2581,
  // BERT the others by "##".
  void word_piece() {
    std::vector<std::string> spelled;
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      spelled.push_back(tokens_.is_type(i, Tokens::kControl) ||
                                tokens_.is_type(i, Tokens::kUnknown)
                            ? std::string(tokens_.tokens()[i])
                            : spell_as_bert(tokens_.tokens()[i]));
    set_vocabulary(spelled);
    BertClean clean;
    clean.lowercase = file_.boolean_or(key("normalizer.lowercase"), true);
    clean.strip_accents =
        file_.boolean_or(key("normalizer.strip_accents"), clean.lowercase);
    parts_.normalizer.add(clean);
    parts_.pre_tokenizer.add(
        SplitByChar{is_white_space, SplitBehavior::kRemoved});
    parts_.pre_tokenizer.add(
        SplitByChar{is_punctuation, SplitBehavior::kIsolated});
    WordPieceOptions options;
    options.unk = tokens_.special_id("unknown_token_id");
    parts_.model =
        std::make_shared<WordPiece>(parts_.vocabulary, std::move(options));
    parts_.decoder.add(DecodeWordPiece{"##", true});
    parts_.kind = "WordPiece";
    adds_.bos = adds_.sep = true;
  }

  void longest_token() {
    std::vector<std::string> spelled;
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      spelled.push_back(tokens_.is_type(i, Tokens::kControl)
                            ? std::string(tokens_.tokens()[i])
                            : spell_bytes(unescape_rwkv(tokens_.tokens()[i])));
    set_vocabulary(spelled);
    parts_.pre_tokenizer.add(ByteLevel{.use_regex = false});
    parts_.decoder.add(DecodeByteLevel{});
    parts_.model = std::make_shared<LongestToken>(
        parts_.vocabulary, tokens_.special_id("unknown_token_id"));
    parts_.kind = "longest token, byte-level (RWKV)";
  }

  void plamo2() {
    set_vocabulary();
    std::vector<bool> unused(tokens_.size());
    for (std::size_t i = 0; i < tokens_.types().size(); ++i)
      unused[i] = tokens_.types()[i] == Tokens::kControl ||
                  tokens_.types()[i] == Tokens::kByte;
    parts_.model = std::make_shared<Plamo2>(parts_.vocabulary, tokens_.scores(),
                                            unused, where("tokens"));
    parts_.decoder.add(DecodeByteFallback{});
    parts_.decoder.add(DecodeFuse{});
    parts_.kind = "unigram from the end, byte fallback (PLaMo 2)";
  }

  const GgufFile& file_;
  Tokens tokens_;
  TokenizerParts parts_;
  GgufAdds adds_;
};

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer(const GgufFile& file) {
  return Loader(file).load();
}

}  // namespace skua
