#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/gguf.h"
#include "text/added_vocabulary.h"
#include "text/decoder.h"
#include "text/encoding.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace skua {

struct SpecialTokens {
  std::optional<std::int32_t> bos, eos, unk, pad;
  /** Ids that end a turn: eos and what the tokenizer's source names beside
   *  it. generation_config.json may name more. */
  std::set<std::int32_t> eos_ids;
  /** Whether encode puts bos in front. */
  bool add_bos = false;
};

struct EncodeOptions {
  bool add_special = true;    // bos, eos and the like around the text
  bool parse_special = true;  // special tokens in the text are recognised
  bool limit = true;          // truncation and padding of the tokenizer's
                              // file, for results of the type Encoding
};

/** What a Tokenizer is made of; filled by the loaders. */
struct TokenizerParts {
  std::shared_ptr<const Vocabulary> vocabulary;
  AddedVocabulary added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::shared_ptr<TokenModel> model;
  Decoder decoder;
  PostProcessor post_processor;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  SpecialTokens special;
  std::string kind;
};

/** Adds the special tokens that end a turn by their names to eos_ids: many
 *  files name the end of the text alone. */
void add_turn_ends(TokenizerParts& parts);

/** Chooses ways that give the same tokens at less cost. For loaders, after all
 *  other parts are set. */
void speed_up(TokenizerParts& parts);

/** Text to token ids and back. Const after loading, usable from several
 *  threads. */
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerParts parts);

  /** Ids of `text`. Throws InvalidInput that names the byte where `text` is
   *  not UTF-8, or if it is 512 MiB or longer. */
  std::vector<std::int32_t> encode(std::string_view text,
                                   EncodeOptions options = {}) const;

  /** The same with offsets, type ids and masks, cut and padded as the
   *  tokenizer's file says unless `options.limit` is false. Throws as encode,
   *  and InvalidInput where a truncation cannot be done. */
  Encoding encode_with_offsets(std::string_view text,
                               EncodeOptions options = {}) const;
  /** Of two texts as one; offsets are those in each. */
  Encoding encode_pair(std::string_view first, std::string_view second,
                       EncodeOptions options = {}) const;
  /** Of each text, all equally long where the file asks for padding. */
  std::vector<Encoding> encode_batch(const std::vector<std::string_view>& texts,
                                     EncodeOptions options = {}) const;

  /** Text of `ids`, always UTF-8: bytes that are not become U+FFFD as in
   *  huggingface/tokenizers. Ids that stand for nothing give no text.
   *  `skip_special` leaves special tokens out. */
  std::string decode(std::span<const std::int32_t> ids,
                     bool skip_special = false) const;

  /** The vocabulary's spelling, e.g. "Ġthe"; empty for an unused id. Throws
   *  InvalidInput for an id outside [0, size()), as do the next two. */
  std::string piece(std::int32_t id) const;
  /** The bytes it stands for inside a text, e.g. " the" or "\xf0". */
  std::string token_bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;

  std::optional<std::int32_t> id_of(std::string_view piece) const;
  /** One more than the largest id. */
  std::int32_t size() const { return size_; }
  const SpecialTokens& special() const { return parts_.special; }
  /** For people, e.g. "BPE, byte-level". */
  const std::string& kind() const { return parts_.kind; }

 private:
  friend class Detokenizer;
  void check_id(std::int32_t id) const;
  Document split(std::string_view text, EncodeOptions options,
                 bool tracked) const;
  Encoding encode_one(std::string_view text, std::int32_t type_id,
                      EncodeOptions options) const;
  Encoding finish(std::vector<Encoding> encodings,
                  const std::vector<std::string_view>& texts,
                  EncodeOptions options) const;

  TokenizerParts parts_;
  std::int32_t size_ = 0;
  std::vector<std::int32_t> before_, after_;  // ids around one text
};

/** The tokenizer of a model folder: tokenizer.json, else tokenizer.model
 *  (SentencePiece, or ranks as of Llama 3), else *.tiktoken or tekken.json,
 *  with tokenizer_config.json and special_tokens_map.json where present.
 *  Throws NotFound (none of them), Error, InvalidInput naming file and field,
 *  Unsupported naming the kind of model, normalizer, pre-tokenizer,
 *  post-processor or decoder. */
std::shared_ptr<const Tokenizer> load_tokenizer(
    const std::filesystem::path& folder);

/** Whether load_tokenizer finds a file in `folder`. */
bool has_tokenizer(const std::filesystem::path& folder);

/** The same from one of these files, with what lies beside it. */
std::shared_ptr<const Tokenizer> load_tokenizer_file(
    const std::filesystem::path& path);

/** The tokenizer in the metadata of a GGUF file (tokenizer.ggml.*). Throws
 *  as above. */
std::shared_ptr<const Tokenizer> load_tokenizer(const GgufFile& file);

/** As load_tokenizer of a folder, from the text of a tokenizer.json alone. */
std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::string_view text,
                                                      const std::string& where);

}  // namespace skua
