#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/utf8.h"

namespace skua {

const char* const kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";

namespace {

struct Part {
  TextRange range;
  bool match;
};

// The matches and the gaps between them, covering the text.
std::vector<Part> cover(const std::vector<TextRange>& matches,
                        std::size_t n_bytes, bool invert) {
  std::vector<Part> parts;
  std::size_t at = 0;
  for (const TextRange& range : matches) {
    if (at != range.begin) parts.push_back({{at, range.begin}, invert});
    parts.push_back({range, !invert});
    at = range.end;
  }
  if (at != n_bytes) parts.push_back({{at, n_bytes}, invert});
  return parts;
}

// Joins neighbours as the behavior says; what stays marked is dropped.
std::vector<Part> merge(std::vector<Part> parts, SplitBehavior behavior) {
  std::vector<Part> merged;
  bool previous = false;
  const bool backwards = behavior == SplitBehavior::kMergedWithNext;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Part part = parts[backwards ? parts.size() - 1 - i : i];
    const bool match = part.match;
    if (behavior != SplitBehavior::kRemoved) part.match = false;
    bool join = false;
    if (behavior == SplitBehavior::kContiguous) join = match == previous;
    if (behavior == SplitBehavior::kMergedWithPrevious || backwards)
      join = match && !previous;
    previous = match;
    if (!join || merged.empty())
      merged.push_back(part);
    else if (backwards)
      merged.back().range.begin = part.range.begin;
    else
      merged.back().range.end = part.range.end;
  }
  if (backwards) return {merged.rbegin(), merged.rend()};
  return merged;
}

// Cuts `piece` at `matches`.
void cut(const TextPiece& piece, const std::vector<TextRange>& matches,
         SplitBehavior behavior, bool invert, std::vector<TextPiece>& out) {
  const auto emit = [&](std::size_t begin, std::size_t end) {
    if (begin == end) return;
    const auto base = piece.begin;
    out.push_back({base + static_cast<std::uint32_t>(begin),
                   base + static_cast<std::uint32_t>(end), -1,
                   piece.starts_text && begin == 0});
  };
  const std::size_t n_bytes = piece.end - piece.begin;
  if (behavior == SplitBehavior::kIsolated) {
    std::size_t at = 0;
    for (const TextRange& range : matches) {
      emit(at, range.begin);
      emit(range.begin, range.end);
      at = range.end;
    }
    emit(at, n_bytes);
    return;
  }
  for (const Part& part : merge(cover(matches, n_bytes, invert), behavior))
    if (!part.match) emit(part.range.begin, part.range.end);
}

// Cuts all pieces of a document at what `find(text, matches)` finds.
template <typename Find>
void split(Document& document, SplitBehavior behavior, bool invert,
           const Find& find) {
  std::vector<TextPiece> pieces;
  pieces.reserve(document.pieces.size());
  std::vector<TextRange> matches;
  for (const TextPiece& piece : document.pieces) {
    if (piece.id >= 0) {
      pieces.push_back(piece);
      continue;
    }
    matches.clear();
    find(document.view(piece), matches);
    cut(piece, matches, behavior, invert, pieces);
  }
  document.pieces = std::move(pieces);
}

// Writes all pieces of a document anew by `write(rewriter, piece)`, which
// takes each to its end.
template <typename Write>
void rewrite(Document& document, const Write& write) {
  TextRewriter out(document.text);
  for (TextPiece& piece : document.pieces) {
    const std::size_t begin = out.size();
    out.drop(piece.begin - out.at());
    const std::size_t end = piece.end;
    if (piece.id >= 0)
      out.keep(end - out.at());
    else
      write(out, piece);
    piece.begin = static_cast<std::uint32_t>(begin);
    piece.end = static_cast<std::uint32_t>(out.size());
  }
  document.text = out.take();
}

void find_chars(std::string_view text, bool (*matches)(char32_t),
                std::vector<TextRange>& ranges) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (matches(c.code)) ranges.push_back({at, at + c.n});
    at += c.n;
  }
}

void find_words(std::string_view text, std::vector<TextRange>& ranges) {
  int open = 0;  // kind of the last range: 0 none, 1 word, 2 other
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    const int kind = is_word_char(c.code) ? 1 : is_white_space(c.code) ? 0 : 2;
    if (kind != 0 && kind == open)
      ranges.back().end = at + c.n;
    else if (kind != 0)
      ranges.push_back({at, at + c.n});
    open = kind;
    at += c.n;
  }
}

void find_lengths(std::string_view text, std::size_t n_chars,
                  std::vector<TextRange>& ranges) {
  std::size_t begin = 0, n = 0;
  for (std::size_t at = 0; at < text.size();) {
    at += utf8_at(text, at).n;
    if (++n < n_chars && at < text.size()) continue;
    ranges.push_back({begin, at});
    begin = at;
    n = 0;
  }
}

void run(const SplitByRegex& step, Document& document) {
  RegexSearch search(*step.pattern);
  split(document, step.behavior, step.invert,
        [&](std::string_view text, std::vector<TextRange>& matches) {
          search.find_all(text, matches);
        });
}

void run(const SplitByChar& step, Document& document) {
  split(document, step.behavior, false,
        [&](std::string_view text, std::vector<TextRange>& matches) {
          find_chars(text, step.matches, matches);
        });
}

void run(const SplitWords&, Document& document) {
  split(document, SplitBehavior::kRemoved, true, find_words);
}

void run(const SplitLength& step, Document& document) {
  split(document, SplitBehavior::kIsolated, false,
        [&](std::string_view text, std::vector<TextRange>& matches) {
          find_lengths(text, step.n_chars, matches);
        });
}

void run(const ByteLevel& step, Document& document) {
  static const auto pattern =
      std::make_shared<const Regex>(kGpt2Pattern, "GPT-2 split pattern");
  if (step.add_prefix_space)
    rewrite(document, [&](TextRewriter& out, const TextPiece& piece) {
      if (!document.view(piece).starts_with(' ')) out.put(" ", piece.begin);
      out.keep(piece.end - piece.begin);
    });
  if (step.use_regex) run(SplitByRegex{pattern}, document);
  if (!step.spell) return;
  rewrite(document, [&](TextRewriter& out, const TextPiece& piece) {
    for (const char c : document.view(piece))
      out.replace(byte_level_char(static_cast<std::uint8_t>(c)), 1);
  });
}

void run(const Metaspace& step, Document& document) {
  rewrite(document, [&](TextRewriter& out, const TextPiece& piece) {
    const std::string_view text = document.view(piece);
    const bool wanted =
        step.scheme == PrependScheme::kAlways ||
        (step.scheme == PrependScheme::kFirst && piece.starts_text);
    if (wanted && !text.starts_with(' ') && !text.starts_with(step.replacement))
      out.put(step.replacement, piece.begin);
    while (out.at() < piece.end) {
      const std::size_t at = out.at() - piece.begin;
      if (text[at] == ' ') {
        out.replace(step.replacement, 1);
        continue;
      }
      const std::size_t space = text.find(' ', at);
      out.keep(std::min(space, text.size()) - at);
    }
  });
  if (!step.split) return;
  const std::size_t n = step.replacement.size();
  split(document, SplitBehavior::kMergedWithNext, false,
        [&](std::string_view text, std::vector<TextRange>& matches) {
          for (std::size_t at = text.find(step.replacement); at != text.npos;
               at = text.find(step.replacement, at + n))
            matches.push_back({at, at + n});
        });
}

}  // namespace

void PreTokenizer::add(Step step) {
  if (std::holds_alternative<ByteLevel>(step)) byte_level_ = true;
  steps_.push_back(std::move(step));
}

bool PreTokenizer::ends_in_byte_level() const {
  return !steps_.empty() && std::holds_alternative<ByteLevel>(steps_.back());
}

void PreTokenizer::leave_bytes() {
  std::get<ByteLevel>(steps_.back()).spell = false;
}

void PreTokenizer::apply(Document& document) const {
  for (const Step& step : steps_)
    std::visit([&](const auto& kind) { run(kind, document); }, step);
}

}  // namespace skua
