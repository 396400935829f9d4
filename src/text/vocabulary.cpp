#include "text/vocabulary.h"

#include <algorithm>
#include <functional>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

std::uint32_t tag_of(std::size_t hash) {
  return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace

Vocabulary::Vocabulary(const std::vector<std::string_view>& pieces,
                       const std::string& where, bool last_counts) {
  std::size_t n_bytes = 0, n_slots = 16;
  for (const auto piece : pieces) n_bytes += piece.size();
  while (n_slots < pieces.size() * 2) n_slots *= 2;
  bytes_.reserve(n_bytes);
  ends_.reserve(pieces.size());
  used_.reserve(pieces.size());
  table_.assign(n_slots, {});
  for (const auto piece : pieces) {
    bytes_ += piece;
    ends_.push_back(bytes_.size());
    used_.push_back(piece.data() != nullptr);
    max_bytes_ = std::max(max_bytes_, piece.size());
    if (piece.data() == nullptr) continue;
    const auto id = static_cast<std::int32_t>(ends_.size() - 1);
    if (find_invalid_utf8(piece) != std::string_view::npos)
      throw InvalidInput(where,
                         "token " + std::to_string(id) + " is not UTF-8 text");
    const std::size_t hash = std::hash<std::string_view>()(piece);
    Slot& slot = table_[find_slot(piece, hash)];
    if (slot.id >= 0 && !last_counts)
      throw InvalidInput(where, "tokens " + std::to_string(slot.id) + " and " +
                                    std::to_string(id) +
                                    " are the same text, expected each once");
    slot = {tag_of(hash), id};
  }
}

std::size_t Vocabulary::find_slot(std::string_view text,
                                  std::size_t hash) const {
  const std::uint32_t tag = tag_of(hash);
  std::size_t at = hash & (table_.size() - 1);
  while (table_[at].id >= 0 &&
         (table_[at].tag != tag || piece(table_[at].id) != text))
    at = (at + 1) & (table_.size() - 1);
  return at;
}

std::optional<std::int32_t> Vocabulary::find(std::string_view text) const {
  if (text.size() > max_bytes_) return std::nullopt;
  const std::size_t hash = std::hash<std::string_view>()(text);
  const std::int32_t id = table_[find_slot(text, hash)].id;
  return id < 0 ? std::nullopt : std::optional(id);
}

}  // namespace skua
