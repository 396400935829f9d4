#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/gguf_pre_kinds.h"
#include "text/tokenizer.h"

namespace skua {

/** Tokens by rank, which is their id less `first_id`; bytes, not UTF-8.
 *  A token without bytes is an unused rank. */
struct RankedTokens {
  std::string where;  // for errors
  std::vector<std::string> tokens;
  std::int32_t first_id = 0;
};

/** Reads the lines `base64 rank` of a tiktoken file. Throws InvalidInput
 *  naming `where` and the line. Source: openai/tiktoken, load.py. */
RankedTokens read_rank_file(std::string_view text, const std::string& where);

/** A tokenizer that joins bytes by rank and splits text by `patterns`.
 *  `added` tokens are found first. Throws InvalidInput naming the token.
 *  Source: openai/tiktoken, lib.rs. */
TokenizerParts build_ranked(const RankedTokens& ranked, const PreKind& pre,
                            std::vector<AddedToken> added);

/** Pattern and special tokens that a rank file is used with, by its name
 *  (e.g. "o200k_base"); null where it is not known. */
struct RankKind {
  PreKind pre;
  std::vector<AddedToken> special;
  std::string bos, eos;  // of the special tokens; empty: none
};
std::optional<RankKind> find_rank_kind(std::string_view name,
                                       std::size_t n_ranks);

/** The tokenizer in Mistral's tekken.json. Throws InvalidInput naming the
 *  field. Source: mistralai/mistral-common, tekken.py. */
TokenizerParts parse_tekken(std::string_view text, const std::string& where);

}  // namespace skua
