#pragma once

#include <memory>
#include <optional>
#include <string>

#include "text/token_model.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace skua {

struct WordPieceOptions {
  std::optional<std::int32_t> unk;
  std::string prefix = "##";  // of every token but the first of a word
  std::size_t max_chars = 100;
};

/** The longest token first, then again for the rest; a word that does not
 *  come out even, or is longer than `max_chars`, is unk.
 *  Source: huggingface/tokenizers, models/wordpiece. */
class WordPiece : public TokenModel {
 public:
  WordPiece(std::shared_ptr<const Vocabulary> vocabulary,
            WordPieceOptions options);
  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  WordPieceOptions options_;
  Trie trie_;
  std::uint32_t behind_prefix_ = 0;
};

/** The token that is the whole piece, else unk.
 *  Source: huggingface/tokenizers, models/wordlevel. */
class WordLevel : public TokenModel {
 public:
  WordLevel(std::shared_ptr<const Vocabulary> vocabulary,
            std::optional<std::int32_t> unk);
  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::optional<std::int32_t> unk_;
};

/** The longest token first, without a look back, as RWKV's World vocabulary;
 *  a character that starts no token is unk.
 *  Source: BlinkDL/RWKV-LM, rwkv_tokenizer.py. */
class LongestToken : public TokenModel {
 public:
  LongestToken(std::shared_ptr<const Vocabulary> vocabulary,
               std::optional<std::int32_t> unk);
  void encode(std::string_view piece,
              std::vector<Token>& tokens) const override;

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::optional<std::int32_t> unk_;
  Trie trie_;
};

/** All tokens of a vocabulary by their spelling. */
Trie make_trie(const Vocabulary& vocabulary);

}  // namespace skua
