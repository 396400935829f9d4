#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/encoding.h"

namespace skua {

/** A part of a template: one of the texts, or tokens. */
struct TemplatePiece {
  int text = -1;  // 0 or 1: the first or the second text
  std::vector<std::int32_t> ids = {};
  std::vector<std::string> tokens = {};
  std::int32_t type_id = 0;
};

/** What is put around texts and how two become one.
 *  Source: huggingface/tokenizers, processors/. */
struct PostProcessor {
  /** Offsets leave out white space around a token, step by step. */
  struct Trim {
    bool add_prefix_space;  // a first space was added, not the caller's
  };

  std::vector<Trim> trims;
  std::vector<TemplatePiece> single = {{.text = 0}};
  std::vector<TemplatePiece> pair = {{.text = 0}, {.text = 1, .type_id = 1}};

  /** Puts `token` in place of all in front of each text, or behind it;
   *  without ids nothing. */
  void surround(const TemplatePiece& token, bool in_front);

  /** Tokens that are put around one text, or a pair. */
  std::size_t n_added(bool of_pair) const;

  /** One encoding of one or of two; `sources` are their texts. */
  Encoding apply(std::vector<Encoding> encodings,
                 const std::vector<std::string_view>& sources,
                 bool add_special) const;
};

/** BERT's template, or RoBERTa's with two separators and one type. */
void set_bert_template(const TemplatePiece& cls, const TemplatePiece& sep,
                       bool roberta, PostProcessor& post);

}  // namespace skua
