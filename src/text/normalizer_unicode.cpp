#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "skua/error.h"
#include "text/normalizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

bool composes(UnicodeForm form) {
  return form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc;
}

utf8proc_option_t options_of(UnicodeForm form) {
  const bool compat = form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  return static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE |
      (composes(form) ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
      (compat ? UTF8PROC_COMPAT : 0));
}

std::string map_text(std::string_view text, UnicodeForm form) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t n = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &mapped, options_of(form));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      mapped, &std::free);
  if (n < 0)
    throw Error("normalizer", std::string("Unicode normalization failed: ") +
                                  utf8proc_errmsg(n));
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(n)};
}

// A character and how it came: 1 as one more, 0 in place of one, -n in place
// of n + 1.
struct Change {
  utf8proc_int32_t code;
  int change;
};

int class_of(utf8proc_int32_t code) {
  return utf8proc_get_property(code)->combining_class;
}

std::vector<Change> decompose(std::string_view text, UnicodeForm form) {
  const utf8proc_option_t options = options_of(form);
  std::vector<Change> changes;
  std::size_t pending = 0;  // from here on classes may be out of order
  const auto sort = [&] {
    std::stable_sort(changes.begin() + static_cast<std::ptrdiff_t>(pending),
                     changes.end(), [](const Change& a, const Change& b) {
                       return class_of(a.code) < class_of(b.code);
                     });
  };
  std::array<utf8proc_int32_t, 64> parts;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    at += c.n;
    int boundary = 0;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.code),
                                parts.data(), parts.size(), options, &boundary);
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
      const utf8proc_int32_t code = parts[static_cast<std::size_t>(i)];
      if (class_of(code) == 0) {
        sort();
        changes.push_back({code, i > 0 ? 1 : 0});
        pending = changes.size();
      } else {
        changes.push_back({code, i > 0 ? 1 : 0});
      }
    }
  }
  sort();
  return changes;
}

// What two characters make together, or -1.
utf8proc_int32_t compose_pair(utf8proc_int32_t a, utf8proc_int32_t b) {
  std::array<utf8proc_int32_t, 3> codes = {a, b, 0};
  const utf8proc_ssize_t n = utf8proc_normalize_utf32(
      codes.data(), 2,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  return n == 1 ? codes[0] : -1;
}

std::vector<Change> compose(const std::vector<Change>& changes) {
  std::vector<Change> out;
  std::size_t starter = 0;  // index in out; only with has_starter
  bool has_starter = false;
  int last_class = -1;  // of what stays behind the starter, -1: nothing
  for (const Change& next : changes) {
    const int order = class_of(next.code);
    const bool blocked = last_class >= order && last_class >= 0;
    if (has_starter && !blocked) {
      const utf8proc_int32_t both = compose_pair(out[starter].code, next.code);
      if (both >= 0) {
        out[starter] = {both, out[starter].change + next.change - 1};
        continue;
      }
    }
    out.push_back(next);
    if (order == 0) {
      starter = out.size() - 1;
      has_starter = true;
      last_class = -1;
    } else {
      last_class = order;
    }
  }
  return out;
}

}  // namespace

AlignedText normalize_unicode(AlignedText text, UnicodeForm form) {
  // All below U+0300 is composed and nothing combines with it.
  const bool ascii =
      std::all_of(text.text.begin(), text.text.end(),
                  [](char c) { return static_cast<signed char>(c) >= 0; });
  if (ascii) return text;
  if (!text.tracked) {
    text.text = map_text(text.text, form);
    return text;
  }
  std::vector<Change> changes = decompose(text.text, form);
  if (composes(form)) changes = compose(changes);
  TextRewriter out(text);
  std::string bytes;
  for (const Change& change : changes) {
    bytes.clear();
    append_utf8(bytes, static_cast<char32_t>(change.code));
    if (change.change > 0)
      out.add(bytes);
    else
      out.replace(bytes, utf8_at(text.text, out.at()).n);
    for (int i = change.change; i < 0; ++i)
      out.drop(utf8_at(text.text, out.at()).n);
  }
  return out.take();
}

}  // namespace skua
