#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/aligned_text.h"

namespace skua {

/** Tokens of one text, or of a pair, with what models and tools ask about
 *  them; all lists are equally long. */
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> type_ids;        // which text of a pair
  std::vector<SourceSpan> offsets;           // bytes of the caller's text
  std::vector<std::string> tokens;           // spelling
  std::vector<std::uint8_t> special_mask;    // 1: put there, not text
  std::vector<std::uint8_t> attention_mask;  // 0: padding
  /** What truncation cut off, in parts as long as this one. */
  std::vector<Encoding> overflowing;

  std::size_t size() const { return ids.size(); }
  void push(std::int32_t id, std::int32_t type_id, SourceSpan offset,
            std::string token, bool special);
  Encoding slice(std::size_t begin, std::size_t end) const;
};

enum class Side { kLeft, kRight };

/** Adds `next` behind `encoding`; overflowing parts are combined as in
 *  huggingface/tokenizers. */
void merge(Encoding& encoding, const Encoding& next);

enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };

struct Truncation {
  std::size_t max_length = 512;
  std::size_t stride = 0;  // tokens that overflowing parts share
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  Side side = Side::kRight;  // where tokens are cut off
};

/** Cuts to `max_length` tokens. Throws InvalidInput where the stride is not
 *  smaller. Source: huggingface/tokenizers, tokenizer/encoding.rs. */
void truncate(Encoding& encoding, std::size_t max_length, std::size_t stride,
              Side side);

/** Cuts one text or a pair (`second` may be null) so that both have at most
 *  `max_length` tokens. Throws InvalidInput where the strategy cannot do
 *  that. Source: huggingface/tokenizers, utils/truncation.rs. */
void truncate(Encoding& first, Encoding* second, const Truncation& truncation);

struct Padding {
  std::size_t fixed = 0;  // 0: as long as the longest of the batch
  std::size_t multiple = 0;
  std::int32_t id = 0;
  std::int32_t type_id = 0;
  std::string token = "[PAD]";
  Side side = Side::kRight;
};

/** Makes all encodings of a batch equally long.
 *  Source: huggingface/tokenizers, utils/padding.rs. */
void pad(std::vector<Encoding>& batch, const Padding& padding);

}  // namespace skua
