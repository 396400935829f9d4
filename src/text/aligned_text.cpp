#include "text/aligned_text.h"

#include <algorithm>

#include "text/utf8.h"

namespace skua {

AlignedText::AlignedText(std::string_view given, bool track,
                         std::uint32_t first)
    : text(given), tracked(track), origin(first) {
  if (!tracked) return;
  sources.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = utf8_at(text, at).n;
    const auto begin = static_cast<std::uint32_t>(origin + at);
    at += n;
    sources.insert(sources.end(), n,
                   {begin, static_cast<std::uint32_t>(origin + at)});
  }
  sources.resize(text.size());
}

AlignedText AlignedText::slice(std::size_t begin, std::size_t end) const {
  AlignedText part;
  part.text = text.substr(begin, end - begin);
  part.tracked = tracked;
  part.origin = origin;
  if (tracked && begin < end) {
    part.sources.assign(sources.begin() + static_cast<std::ptrdiff_t>(begin),
                        sources.begin() + static_cast<std::ptrdiff_t>(end));
    part.origin = part.sources.front().begin;
  }
  return part;
}

void AlignedText::append(const AlignedText& other) {
  text += other.text;
  sources.insert(sources.end(), other.sources.begin(), other.sources.end());
}

SourceSpan AlignedText::source(std::size_t begin, std::size_t end) const {
  end = std::min(end, sources.size());
  if (begin >= end) return {};
  return {sources[begin].begin, sources[end - 1].end};
}

TextRewriter::TextRewriter(const AlignedText& from) : from_(from) {
  to_.tracked = from.tracked;
  to_.origin = from.origin;
  to_.text.reserve(from.text.size());
  if (from.tracked) to_.sources.reserve(from.text.size());
}

void TextRewriter::mark(std::size_t n, SourceSpan source) {
  to_.sources.insert(to_.sources.end(), n, source);
}

void TextRewriter::keep(std::size_t n) {
  to_.text.append(from_.text, at_, n);
  if (from_.tracked) {
    const auto begin = from_.sources.begin() + static_cast<std::ptrdiff_t>(at_);
    to_.sources.insert(to_.sources.end(), begin,
                       begin + static_cast<std::ptrdiff_t>(n));
  }
  at_ += n;
}

void TextRewriter::replace(std::string_view text, std::size_t n) {
  put(text, at_);
  at_ += n;
}

void TextRewriter::add(std::string_view text) {
  if (at_ > 0) {
    put(text, at_ - 1);
    return;
  }
  to_.text += text;
  if (from_.tracked) mark(text.size(), {from_.origin, from_.origin});
}

void TextRewriter::put(std::string_view text, std::size_t at) {
  to_.text += text;
  if (!from_.tracked) return;
  const bool inside = at < from_.sources.size();
  mark(text.size(),
       inside ? from_.sources[at] : SourceSpan{from_.origin, from_.origin});
}

}  // namespace skua
