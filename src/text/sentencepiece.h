#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace skua {

/** What a token of SentencePiece is; the numbers are those of its files and
 *  of tokenizer.ggml.token_type. */
enum class PieceType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

/** What a SentencePiece model says about itself; views into its file. */
struct SentencePieceSpec {
  std::string where;  // for errors
  std::vector<std::string_view> pieces;
  std::vector<float> scores;
  std::vector<PieceType> types;
  enum class Model { kUnigram = 1, kBpe, kWord, kChar };  // as in its files
  Model model = Model::kUnigram;
  bool byte_fallback = false;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool whitespace_as_suffix = false;
  std::string_view charsmap;  // empty: none
  std::optional<std::int32_t> unk, bos, eos, pad;
};

/** Parts of a tokenizer without what stands around a text. Control tokens
 *  are special added tokens. Throws InvalidInput naming the token.
 *  Source: google/sentencepiece, normalizer.cc and the files of the models. */
TokenizerParts build_sentencepiece(const SentencePieceSpec& spec,
                                   std::vector<AddedToken> added = {});

/** The model in the protobuf `bytes`, which must outlive the result. Throws
 *  InvalidInput naming `where` and the byte. */
SentencePieceSpec read_sentencepiece(std::string_view bytes,
                                     const std::string& where);

}  // namespace skua
