#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace skua {

/** A byte range of the text that a caller gave. */
struct SourceSpan {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  friend bool operator==(const SourceSpan&, const SourceSpan&) = default;
};

/** A text on its way to the model and, where `tracked`, for each of its bytes
 *  the range of the caller's text that it stands for. */
struct AlignedText {
  AlignedText() = default;
  /** `text` as it is, found at byte `origin` of the caller's text. */
  AlignedText(std::string_view text, bool tracked, std::uint32_t origin = 0);

  /** The bytes [begin, end). */
  AlignedText slice(std::size_t begin, std::size_t end) const;
  void append(const AlignedText& other);
  /** What the bytes [begin, end) stand for; the end of a range past the text
   *  is cut. Only where `tracked`. */
  SourceSpan source(std::size_t begin, std::size_t end) const;

  std::string text;
  std::vector<SourceSpan> sources;  // one per byte, or none
  bool tracked = false;
  std::uint32_t origin = 0;
};

/** Builds the next form of an AlignedText from left to right. What is put in
 *  takes the source of what it replaces, what is added that of the byte in
 *  front of it. Source: huggingface/tokenizers, NormalizedString. */
class TextRewriter {
 public:
  explicit TextRewriter(const AlignedText& from);

  bool at_end() const { return at_ >= from_.text.size(); }
  /** Bytes taken so far of the old text; bytes of the new one. */
  std::size_t at() const { return at_; }
  std::size_t size() const { return to_.text.size(); }

  /** Takes `n` bytes as they are. */
  void keep(std::size_t n);
  /** Leaves `n` bytes out. */
  void drop(std::size_t n) { at_ += n; }
  /** Puts `text` in place of the next `n` bytes. */
  void replace(std::string_view text, std::size_t n);
  /** Adds `text` behind what was taken so far. */
  void add(std::string_view text);
  /** Adds `text` that stands for what the byte at `at` does. */
  void put(std::string_view text, std::size_t at);

  AlignedText take() { return std::move(to_); }

 private:
  void mark(std::size_t n, SourceSpan source);

  const AlignedText& from_;
  AlignedText to_;
  std::size_t at_ = 0;
};

}  // namespace skua
