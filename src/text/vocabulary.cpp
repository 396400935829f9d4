#include "text/vocabulary.h"

#include <algorithm>
#include <functional>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {

Vocabulary::Vocabulary(const std::vector<std::string_view>& pieces,
                       const std::string& where) {
  std::size_t n_bytes = 0, n_slots = 16;
  for (const auto piece : pieces) n_bytes += piece.size();
  while (n_slots < pieces.size() * 2) n_slots *= 2;
  bytes_.reserve(n_bytes);
  ends_.reserve(pieces.size());
  used_.reserve(pieces.size());
  table_.assign(n_slots, -1);
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
    const std::size_t at = slot(piece);
    if (table_[at] >= 0)
      throw InvalidInput(where, "tokens " + std::to_string(table_[at]) +
                                    " and " + std::to_string(id) +
                                    " are the same text, expected each once");
    table_[at] = id;
  }
}

std::size_t Vocabulary::slot(std::string_view text) const {
  std::size_t at = std::hash<std::string_view>()(text) & (table_.size() - 1);
  while (table_[at] >= 0 && piece(table_[at]) != text)
    at = (at + 1) & (table_.size() - 1);
  return at;
}

std::optional<std::int32_t> Vocabulary::find(std::string_view text) const {
  if (text.size() > max_bytes_) return std::nullopt;
  const std::int32_t id = table_[slot(text)];
  return id < 0 ? std::nullopt : std::optional(id);
}

std::string_view Vocabulary::piece(std::int32_t id) const {
  if (id < 0 || id >= static_cast<std::int32_t>(ends_.size())) return {};
  const auto i = static_cast<std::size_t>(id);
  const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(bytes_).substr(begin, ends_[i] - begin);
}

}  // namespace skua
