#include "text/gguf_special.h"

#include <string>

namespace skua {
namespace {

TemplatePiece piece_of(const TokenizerParts& parts, std::int32_t id) {
  TemplatePiece piece;
  piece.ids = {id};
  piece.tokens = {std::string(parts.vocabulary->piece(id))};
  return piece;
}

void read_ends(const GgufVocabulary& tokens, TokenizerParts& parts) {
  SpecialTokens& special = parts.special;
  special.eos = tokens.special_id("eos_token_id");
  for (const auto& id : {special.eos, tokens.special_id("eot_token_id"),
                         tokens.special_id("eom_token_id")})
    if (id) special.eos_ids.insert(*id);
  add_turn_ends(parts);
}

}  // namespace

void read_gguf_special(const GgufVocabulary& tokens, const GgufAdds& adds,
                       TokenizerParts& parts) {
  SpecialTokens& special = parts.special;
  special.bos = tokens.special_id("bos_token_id");
  special.unk = tokens.special_id("unknown_token_id");
  special.pad = tokens.special_id("padding_token_id");
  read_ends(tokens, parts);
  const auto cls = tokens.special_id("cls_token_id");
  const auto first = cls ? cls : special.bos;
  // The format's own spelling.
  const auto named_sep = tokens.special_id("seperator_token_id");
  const auto sep = named_sep ? named_sep : special.eos;
  if (tokens.wants("add_sep_token", adds.sep && first, sep) &&
      tokens.wants("add_bos_token", true, first)) {
    const bool roberta = parts.kind != "WordPiece";
    set_bert_template(piece_of(parts, *first), piece_of(parts, *sep), roberta,
                      parts.post_processor);
    return;
  }
  if (tokens.wants("add_bos_token", adds.bos, special.bos)) {
    parts.post_processor.surround(piece_of(parts, *special.bos), true);
    special.add_bos = true;
  }
  if (tokens.wants("add_eos_token", adds.eos, special.eos))
    parts.post_processor.surround(piece_of(parts, *special.eos), false);
}

}  // namespace skua
