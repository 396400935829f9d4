#pragma once

#include <string_view>

#include "text/call_reader.h"

namespace skua {

inline std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_json_space(text.front())) text.remove_prefix(1);
  return text;
}

/** Is `c` next behind white space? kCalls if so. */
inline CallResult next_is(std::string_view text, char c) {
  text = trim_left(text);
  if (text.empty()) return CallResult::kMore;
  return text[0] == c ? CallResult::kCalls : CallResult::kFailed;
}

/** What is left of a text while it is read from front to back. */
class TagCursor {
 public:
  explicit TagCursor(std::string_view text) : rest_(text) {}

  bool take(std::string_view mark) {
    const auto trimmed = trim_left(rest_);
    if (!trimmed.starts_with(mark)) return false;
    rest_ = trimmed.substr(mark.size());
    return true;
  }

  /** Sets `text` to what is before the next `mark` and moves behind it. */
  bool take_until(std::string_view mark, std::string_view& text) {
    const std::size_t found = rest_.find(mark);
    if (found == std::string_view::npos) return false;
    text = rest_.substr(0, found);
    rest_.remove_prefix(found + mark.size());
    return true;
  }

  bool at_end() const { return trim_left(rest_).empty(); }

 private:
  std::string_view rest_;
};

/** Does `text` end with `mark` but for white space? */
inline bool ends_with_trimmed(std::string_view text, std::string_view mark) {
  while (!text.empty() && is_json_space(text.back())) text.remove_suffix(1);
  return text.ends_with(mark);
}

}  // namespace skua
