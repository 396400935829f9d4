#pragma once

#include <string>
#include <string_view>

#include "text/decoder.h"

namespace skua {

// What the steps of a Decoder make of one token.

/** The byte of `<0xNN>`, or -1. */
int byte_token(std::string_view token);

/** The bytes of a token in GPT-2's characters for them; its own where one of
 *  its characters is none of these. */
std::string from_byte_level(std::string_view token);

std::string strip(std::string_view text, const DecodeStrip& step);

/** `first`: nothing stands before the token. */
std::string from_metaspace(std::string_view token, const DecodeMetaspace& step,
                           bool first);
std::string from_word_piece(std::string_view token, const DecodeWordPiece& step,
                            bool first);

std::string from_ctc(std::string_view token, const DecodeCtc& step);

std::string replace_all(std::string_view text, std::string_view from,
                        std::string_view to);

}  // namespace skua
