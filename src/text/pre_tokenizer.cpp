#include "text/pre_tokenizer.h"

#include <array>

#include "text/utf8.h"

namespace skua {

const char* const kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";

namespace {

constexpr char32_t kFirstMapped = 0x100;

bool maps_to_itself(char32_t code) {
  return (code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xac) ||
         (code >= 0xae && code <= 0xff);
}

struct ByteTable {
  std::array<std::string, 256> chars;
  std::array<std::uint8_t, 256> mapped{};  // byte of kFirstMapped + i
  int n_mapped = 0;

  ByteTable() {
    for (int byte = 0; byte < 256; ++byte) {
      char32_t code = static_cast<char32_t>(byte);
      if (!maps_to_itself(code)) {
        mapped[static_cast<std::size_t>(n_mapped)] =
            static_cast<std::uint8_t>(byte);
        code = kFirstMapped + static_cast<char32_t>(n_mapped++);
      }
      append_utf8(chars[static_cast<std::size_t>(byte)], code);
    }
  }
};

const ByteTable& byte_table() {
  static const ByteTable table;
  return table;
}

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

void emit(const TextPiece& piece, const std::vector<Part>& parts,
          std::vector<TextPiece>& out) {
  for (const Part& part : parts) {
    const auto [begin, end] = part.range;
    if (part.match || begin == end) continue;
    out.push_back({piece.text.substr(begin, end - begin), -1,
                   piece.starts_text && begin == 0});
  }
}

std::vector<TextRange> find_chars(std::string_view text,
                                  bool (*matches)(char32_t)) {
  std::vector<TextRange> ranges;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (matches(c.code)) ranges.push_back({at, at + c.n});
    at += c.n;
  }
  return ranges;
}

std::vector<TextRange> find_words(std::string_view text) {
  std::vector<TextRange> ranges;
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
  return ranges;
}

void run(const SplitByRegex& step, TextPiece& piece,
         std::vector<TextPiece>& out) {
  emit(piece,
       merge(cover(step.pattern->find_all(piece.text), piece.text.size(),
                   step.invert),
             step.behavior),
       out);
}

void run(const SplitByChar& step, TextPiece& piece,
         std::vector<TextPiece>& out) {
  emit(piece,
       merge(cover(find_chars(piece.text, step.matches), piece.text.size(),
                   false),
             step.behavior),
       out);
}

void run(const SplitWords&, TextPiece& piece, std::vector<TextPiece>& out) {
  emit(piece,
       merge(cover(find_words(piece.text), piece.text.size(), true),
             SplitBehavior::kRemoved),
       out);
}

void run(const ByteLevel& step, TextPiece& piece, std::vector<TextPiece>& out) {
  static const auto pattern =
      std::make_shared<const Regex>(kGpt2Pattern, "GPT-2 split pattern");
  if (step.add_prefix_space && !piece.text.starts_with(' '))
    piece.text.insert(piece.text.begin(), ' ');
  std::vector<TextPiece> parts;
  if (step.use_regex)
    run(SplitByRegex{pattern}, piece, parts);
  else
    parts.push_back(std::move(piece));
  for (TextPiece& part : parts) {
    std::string mapped;
    mapped.reserve(part.text.size() * 2);
    for (const char c : part.text)
      mapped += byte_level_char(static_cast<std::uint8_t>(c));
    part.text = std::move(mapped);
    out.push_back(std::move(part));
  }
}

void run(const Metaspace& step, TextPiece& piece, std::vector<TextPiece>& out) {
  std::string text;
  text.reserve(piece.text.size());
  for (const char c : piece.text) {
    if (c == ' ')
      text += step.replacement;
    else
      text += c;
  }
  const bool wanted =
      step.scheme == PrependScheme::kAlways ||
      (step.scheme == PrependScheme::kFirst && piece.starts_text);
  if (wanted && !text.starts_with(step.replacement))
    text.insert(0, step.replacement);
  piece.text = std::move(text);
  if (!step.split) {
    out.push_back(std::move(piece));
    return;
  }
  std::vector<TextRange> ranges;
  const std::size_t n = step.replacement.size();
  for (std::size_t at = piece.text.find(step.replacement);
       at != std::string::npos; at = piece.text.find(step.replacement, at + n))
    ranges.push_back({at, at + n});
  emit(piece,
       merge(cover(ranges, piece.text.size(), false),
             SplitBehavior::kMergedWithNext),
       out);
}

}  // namespace

const std::string& byte_level_char(std::uint8_t byte) {
  return byte_table().chars[byte];
}

int byte_level_byte(char32_t code) {
  if (maps_to_itself(code)) return static_cast<int>(code);
  const ByteTable& table = byte_table();
  if (code < kFirstMapped ||
      code >= kFirstMapped + static_cast<char32_t>(table.n_mapped))
    return -1;
  return table.mapped[code - kFirstMapped];
}

void PreTokenizer::add(Step step) {
  if (std::holds_alternative<ByteLevel>(step)) byte_level_ = true;
  steps_.push_back(std::move(step));
}

void PreTokenizer::apply(std::vector<TextPiece>& pieces) const {
  for (const Step& step : steps_) {
    std::vector<TextPiece> next;
    next.reserve(pieces.size());
    for (TextPiece& piece : pieces) {
      if (piece.id >= 0)
        next.push_back(std::move(piece));
      else
        std::visit([&](const auto& kind) { run(kind, piece, next); }, step);
    }
    pieces = std::move(next);
  }
}

}  // namespace skua
