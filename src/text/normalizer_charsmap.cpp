#include <utf8proc.h>

#include "text/normalizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

// `text` for the next `n` bytes, a character for a character as far as that
// goes.
void put_chars(TextRewriter& out, std::string_view old, std::string_view text) {
  std::size_t from = 0, at = 0;
  bool any = false;
  while (at < text.size()) {
    const std::size_t n = utf8_at(text, at).n;
    const std::size_t n_old = utf8_at(old, from).n;
    if (n_old > 0)
      out.replace(text.substr(at, n), n_old);
    else
      out.add(text.substr(at, n));
    any = true;
    at += n;
    from += n_old;
  }
  // The reference forgets what it leaves out in front of everything.
  if (any || out.at() > 0) out.drop(old.size() - from);
}

// Bytes of the grapheme cluster at `at`.
std::size_t cluster_size(std::string_view text, std::size_t at) {
  Utf8Char c = utf8_at(text, at);
  utf8proc_int32_t state = 0;
  std::size_t n = c.n;
  while (at + n < text.size()) {
    const Utf8Char next = utf8_at(text, at + n);
    if (utf8proc_grapheme_break_stateful(
            static_cast<utf8proc_int32_t>(c.code),
            static_cast<utf8proc_int32_t>(next.code), &state))
      break;
    n += next.n;
    c = next;
  }
  return n;
}

// What stands for the next bytes of a text.
struct Chunk {
  std::size_t n_bytes;
  std::string_view text;
};

Chunk chunk_at(std::string_view text, std::size_t at,
               const SentencePieceRules& rules) {
  const std::size_t n_fixed = rules.fixed->longest(text, at).n_bytes;
  if (n_fixed > 0) return {n_fixed, text.substr(at, n_fixed)};
  if (rules.map) {
    const Charsmap::Match match = rules.map->longest(text.substr(at));
    if (match.n_bytes > 0) return {match.n_bytes, match.text};
  }
  const std::size_t n = utf8_at(text, at).n;
  return {n, text.substr(at, n)};
}

}  // namespace

AlignedText map_clusters(const AlignedText& text, const Charsmap& map) {
  constexpr std::size_t kMaxCluster = 6;
  const std::string_view view = text.text;
  TextRewriter out(text);
  for (std::size_t at = 0; at < view.size();) {
    const std::size_t n = cluster_size(view, at);
    const auto mapped = [&](std::string_view part) {
      const Charsmap::Match match = map.shortest(part);
      if (match.n_bytes > 0) put_chars(out, part, match.text);
      return match.n_bytes > 0;
    };
    const std::size_t end = at + n;
    if (n < kMaxCluster && mapped(view.substr(at, n))) at = end;
    while (at < end) {
      const std::size_t n_char = utf8_at(view, at).n;
      if (!mapped(view.substr(at, n_char))) out.keep(n_char);
      at += n_char;
    }
  }
  return out.take();
}

AlignedText apply_rules(const AlignedText& text,
                        const SentencePieceRules& rules) {
  const std::string_view view = text.text;
  TextRewriter out(text);
  bool after_space = rules.remove_extra_spaces;
  while (!out.at_end()) {
    const std::size_t at = out.at();
    const Chunk chunk = chunk_at(view, at, rules);
    std::string_view with = chunk.text;
    while (after_space && with.starts_with(' ')) with.remove_prefix(1);
    if (!with.empty()) after_space = with.ends_with(' ');
    after_space = after_space && rules.remove_extra_spaces;
    // Characters that stay keep what they stand for one by one.
    const bool same = with == view.substr(at, chunk.n_bytes);
    for (std::size_t i = 0; i < with.size();) {
      const std::size_t n = utf8_at(with, i).n;
      const std::string_view c = with.substr(i, n);
      out.put(c == " " ? rules.mark : c, same ? at + i : at);
      i += n;
    }
    out.drop(chunk.n_bytes);
  }
  AlignedText result = out.take();
  std::size_t end = result.text.size();
  const std::size_t n = rules.mark.size();
  while (rules.remove_extra_spaces && end >= n &&
         result.text.compare(end - n, n, rules.mark) == 0)
    end -= n;
  return end == result.text.size() ? result : result.slice(0, end);
}

}  // namespace skua
