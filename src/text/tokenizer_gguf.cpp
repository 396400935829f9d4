#include <cmath>

#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"
#include "text/gguf_pre_kinds.h"
#include "text/tokenizer.h"

namespace skua {
namespace {

// Values of tokenizer.ggml.token_type.
constexpr std::int64_t kUnknown = 2;
constexpr std::int64_t kControl = 3;
constexpr std::int64_t kUserDefined = 4;
constexpr std::int64_t kByte = 6;

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

class Loader {
 public:
  explicit Loader(const GgufFile& file) : file_(file) {}

  std::shared_ptr<const Tokenizer> load() {
    const std::string model(file_.string(key("model")));
    if (model != "gpt2" && model != "llama")
      throw Unsupported(where("model"), "the tokenizer model " + quote(model) +
                                            " is not supported");
    read_vocabulary();
    if (model == "gpt2")
      byte_level();
    else
      scored();
    parts_.added =
        AddedVocabulary(added_tokens(), parts_.normalizer, where("tokens"));
    read_special();
    skip_byte_spelling(parts_);
    return std::make_shared<const Tokenizer>(std::move(parts_));
  }

 private:
  static std::string key(const char* name) {
    return std::string("tokenizer.ggml.") + name;
  }
  std::string where(const char* name) const {
    return file_.path().string() + " " + key(name);
  }

  void check_length(const char* name, std::size_t n) const {
    if (n != n_tokens())
      throw InvalidInput(where(name),
                         "has " + std::to_string(n) +
                             " entries, expected one for each of " +
                             std::to_string(n_tokens()) + " tokens");
  }
  std::size_t n_tokens() const {
    return static_cast<std::size_t>(parts_.vocabulary->size());
  }

  void read_vocabulary() {
    std::vector<std::string_view> pieces = file_.strings(key("tokens"));
    if (pieces.empty())
      throw InvalidInput(where("tokens"), "is missing or empty");
    // Converters pad vocabularies with empty tokens.
    for (auto& piece : pieces)
      if (piece.empty()) piece = {};
    parts_.vocabulary =
        std::make_shared<const Vocabulary>(pieces, where("tokens"));
    types_ = file_.integers(key("token_type"));
    if (!types_.empty()) check_length("token_type", types_.size());
  }

  std::vector<AddedToken> added_tokens() const {
    // Phi-3's tokens take the white space behind them; the file cannot say.
    const bool phi3 = file_.string_or("general.architecture", "") == "phi3";
    std::vector<AddedToken> tokens;
    for (std::size_t i = 0; i < types_.size(); ++i) {
      const auto id = static_cast<std::int32_t>(i);
      if ((types_[i] != kUnknown && types_[i] != kControl &&
           types_[i] != kUserDefined) ||
          !parts_.vocabulary->has(id))
        continue;
      AddedToken token;
      token.id = id;
      token.content = parts_.vocabulary->piece(id);
      token.special = types_[i] != kUserDefined;
      token.rstrip = phi3 && token.content != "<unk>" &&
                     token.content != "<s>" && token.content != "<|endoftext|>";
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

  std::optional<std::int32_t> special_id(const char* name) const {
    if (!file_.has(key(name))) return std::nullopt;
    const std::int64_t id = file_.integer(key(name));
    if (id < 0 || id >= parts_.vocabulary->size())
      throw InvalidInput(
          where(name), "is out of range, got " + std::to_string(id) +
                           ", expected 0 to " + std::to_string(n_tokens() - 1));
    return static_cast<std::int32_t>(id);
  }

  void byte_level() {
    const std::string pre(file_.string_or(key("pre"), "default"));
    const PreKind* kind = find_pre_kind(pre);
    if (!kind)
      throw Unsupported(where("pre"), "the pre-tokenizer " + quote(pre) +
                                          " is not supported");
    for (const auto pattern : kind->patterns)
      parts_.pre_tokenizer.add(
          SplitByRegex{std::make_shared<const Regex>(pattern, where("pre"))});
    parts_.pre_tokenizer.add(ByteLevel{.use_regex = false});
    if (kind->nfc) parts_.normalizer.add(NormalizeUnicode{UnicodeForm::kNfc});
    parts_.decoder.add(DecodeByteLevel{});
    add_bos_ = kind->add_bos;
    const auto merges = file_.strings(key("merges"));
    if (merges.empty())
      throw InvalidInput(where("merges"), "is missing or empty");
    BpeOptions options;
    options.ignore_merges = kind->ignore_merges;
    auto bpe = std::make_shared<Bpe>(parts_.vocabulary, options, merges.size());
    for (const auto merge : merges) {
      const std::size_t space = merge.find(' ', 1);
      if (space == merge.npos)
        throw InvalidInput(where("merges"), "has the merge " + quote(merge) +
                                                ", expected two tokens");
      bpe->add_merge(merge.substr(0, space), merge.substr(space + 1),
                     where("merges"));
    }
    parts_.model = bpe;
    parts_.kind = "BPE, byte-level (" + pre + ")";
  }

  void scored() {
    std::vector<float> scores;
    for (const double score : file_.numbers(key("scores"))) {
      if (!std::isfinite(score))
        throw InvalidInput(where("scores"), "has a score that is no number");
      scores.push_back(static_cast<float>(score));
    }
    check_length("scores", scores.size());
    ScoredBpeOptions options;
    options.unk = special_id("unknown_token_id");
    options.unmergeable.assign(n_tokens(), false);
    for (std::size_t i = 0; i < types_.size(); ++i)
      options.unmergeable[i] =
          types_[i] == kUnknown || types_[i] == kControl || types_[i] == kByte;
    const bool prefix = file_.boolean_or(key("add_space_prefix"), true);
    if (prefix) parts_.normalizer.add(Prepend{std::string(kSpaceMark)});
    const auto pattern = [&](std::string_view text) {
      return std::make_shared<const Regex>(
          Regex::literal(text, where("tokens")));
    };
    parts_.normalizer.add(ReplaceAll{pattern(" "), std::string(kSpaceMark)});
    parts_.decoder.add(DecodeReplace{pattern(kSpaceMark), " "});
    parts_.decoder.add(DecodeByteFallback{});
    parts_.decoder.add(DecodeFuse{});
    if (prefix) parts_.decoder.add(DecodeStrip{" ", 1, 0});
    add_bos_ = true;
    parts_.model = std::make_shared<ScoredBpe>(
        parts_.vocabulary, std::move(scores), std::move(options));
    parts_.kind = "SentencePiece BPE, byte fallback";
  }

  void read_special() {
    SpecialTokens& special = parts_.special;
    special.bos = special_id("bos_token_id");
    special.eos = special_id("eos_token_id");
    special.unk = special_id("unknown_token_id");
    special.pad = special_id("padding_token_id");
    for (const auto& id :
         {special.eos, special_id("eot_token_id"), special_id("eom_token_id")})
      if (id) special.eos_ids.insert(*id);
    add_turn_ends(parts_);
    if (wanted("add_bos_token", add_bos_, special.bos)) {
      surround(*special.bos, true);
      special.add_bos = true;
    }
    if (wanted("add_eos_token", false, special.eos))
      surround(*special.eos, false);
  }

  void surround(std::int32_t id, bool in_front) {
    TemplatePiece token;
    token.ids = {id};
    token.tokens = {std::string(parts_.vocabulary->piece(id))};
    parts_.post_processor.surround(token, in_front);
  }

  bool wanted(const char* name, bool fallback,
              std::optional<std::int32_t> id) const {
    if (!file_.has(key(name))) return fallback && id;
    if (!file_.boolean(key(name))) return false;
    if (!id)
      throw InvalidInput(where(name), "is true, but there is no such token");
    return true;
  }

  const GgufFile& file_;
  TokenizerParts parts_;
  std::vector<std::int64_t> types_;
  bool add_bos_ = false;
};

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer(const GgufFile& file) {
  return Loader(file).load();
}

}  // namespace skua
