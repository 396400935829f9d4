#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** The pieces of a tokenizer's model, by id and by spelling. */
class Vocabulary {
 public:
  /** Copies `pieces`, where the index is the id and a view without data is
   *  an unused id. `where` names the source in errors. Throws InvalidInput
   *  if a piece is not UTF-8, or is there twice unless `last_counts`, when
   *  the text means the last of its ids. */
  Vocabulary(const std::vector<std::string_view>& pieces,
             const std::string& where, bool last_counts = false);

  std::optional<std::int32_t> find(std::string_view piece) const;
  bool has(std::int32_t id) const {
    return id >= 0 && id < size() && used_[static_cast<std::size_t>(id)];
  }
  /** The spelling; empty for an id that is not used. */
  std::string_view piece(std::int32_t id) const {
    if (id < 0 || id >= size()) return {};
    const auto i = static_cast<std::size_t>(id);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {bytes_.data() + begin, ends_[i] - begin};
  }
  std::int32_t size() const { return static_cast<std::int32_t>(used_.size()); }
  /** Bytes of the longest piece. */
  std::size_t max_bytes() const { return max_bytes_; }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;  // of piece i in bytes_
  std::vector<bool> used_;
  struct Slot {
    std::uint32_t tag = 0;  // of the hash, saves most looks at the text
    std::int32_t id = -1;
  };
  std::size_t find_slot(std::string_view piece, std::size_t hash) const;

  std::vector<Slot> table_;  // open addressing
  std::size_t max_bytes_ = 0;
};

}  // namespace skua
