#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"

namespace skua {
namespace {

bool is_byte_token(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

}  // namespace

ByteTokens find_byte_tokens(const Vocabulary& vocabulary) {
  constexpr char kHex[] = "0123456789ABCDEF";
  ByteTokens ids;
  for (std::size_t byte = 0; byte < ids.size(); ++byte) {
    const char text[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    ids[byte] = vocabulary.find({text, sizeof text}).value_or(-1);
  }
  return ids;
}

Trie find_pieces(const Vocabulary& vocabulary,
                 const std::vector<std::int32_t>& ids) {
  std::vector<std::pair<std::string_view, std::int32_t>> pieces;
  for (const auto id : ids) pieces.emplace_back(vocabulary.piece(id), id);
  return Trie(std::move(pieces));
}

Bpe::Bpe(std::shared_ptr<const Vocabulary> vocabulary, BpeOptions options,
         std::size_t n_merges)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      byte_tokens_(find_byte_tokens(*vocabulary_)),
      merges_(n_merges) {}

// Whether the token is what the two make together.
bool Bpe::is_joined(std::int32_t id, std::string_view left,
                    std::string_view right) const {
  const std::string_view piece = vocabulary_->piece(id);
  return vocabulary_->has(id) && piece.size() == left.size() + right.size() &&
         piece.starts_with(left) && piece.ends_with(right);
}

Bpe::Merged Bpe::merged(const MergeText& merge, const std::string& where) {
  const auto [left, right] = merge;
  const auto id_of = [&](std::string_view text) {
    const auto id = vocabulary_->find(text);
    if (!id)
      throw InvalidInput(where, "merge " + std::to_string(n_merges_) + " (" +
                                    quote(left) + ", " + quote(right) +
                                    ") names " + quote(text) +
                                    ", which is not in the vocabulary");
    return *id;
  };
  const std::int32_t left_id = id_of(left), right_id = id_of(right);
  const std::string_view rest =
      right.substr(std::min(options_.prefix.size(), right.size()));
  // Merges mostly come in the order of what they make, some make the same.
  std::int32_t id = last_merged_;
  if (!is_joined(id, left, rest) && !is_joined(++id, left, rest))
    id = id_of(std::string(left) + std::string(rest));
  last_merged_ = id;
  for (const std::string_view text : {left, right})
    merges_bytes_ = merges_bytes_ || is_byte_token(text);
  merges_bytes_ =
      merges_bytes_ || left_id == options_.unk || right_id == options_.unk;
  return {merge_key(left_id, right_id),
          n_merges_++ << 32 | static_cast<std::uint32_t>(id)};
}

// The table is larger than caches: its places are fetched side by side.
void Bpe::add_merges(std::span<const MergeText> merges,
                     const std::string& where) {
  constexpr std::size_t kBlock = 32;
  std::array<Merged, kBlock> block;
  while (!merges.empty()) {
    const std::size_t n = std::min(kBlock, merges.size());
    for (std::size_t i = 0; i < n; ++i) {
      block[i] = merged(merges[i], where);
      merges_.prefetch(block[i].key);
    }
    for (std::size_t i = 0; i < n; ++i)
      merges_.set(block[i].key, block[i].value);
    merges = merges.subspan(n);
  }
}

void Bpe::cut_long_pieces() {
  // A character that is left out makes neighbours of others.
  const bool all_stay =
      options_.byte_fallback
          ? std::find(byte_tokens_.begin(), byte_tokens_.end(), -1) ==
                byte_tokens_.end()
          : options_.unk.has_value();
  if (all_stay && !merges_bytes_ && options_.prefix.empty() &&
      options_.suffix.empty())
    pairs_ = CharPairs(*vocabulary_);
}

bool Bpe::take_bytes() {
  if (options_.byte_fallback || !options_.prefix.empty() ||
      !options_.suffix.empty())
    return false;
  for (std::size_t byte = 0; byte < byte_symbols_.size(); ++byte)
    byte_symbols_[byte] =
        vocabulary_->find(byte_level_char(static_cast<std::uint8_t>(byte)))
            .value_or(-1);
  takes_bytes_ = true;
  return true;
}

}  // namespace skua
