#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/regex.h"

namespace skua {

struct DecodeByteLevel {};
struct DecodeByteFallback {};
struct DecodeFuse {};
struct DecodeJoin {
  std::string separator;
};
struct DecodeStrip {
  std::string content;  // one character
  std::size_t start = 0, stop = 0;
};
struct DecodeReplace {
  std::shared_ptr<const Regex> pattern;
  std::string text;
};
struct DecodeMetaspace {
  std::string replacement;
  bool drop_first = true;  // none at the front of the first token
};

/** The end of a word becomes a space, at the end of the text nothing. */
struct DecodeBpe {
  std::string suffix;
};
/** A space in front of each token but the first, unless it has the prefix. */
struct DecodeWordPiece {
  std::string prefix;
  bool cleanup = true;  // no spaces in front of English punctuation
};
/** Of a run of equal tokens one; none for padding. */
struct DecodeCtc {
  std::string pad, delimiter;
  bool cleanup = true;  // also: the delimiter becomes a space
};

/** How tokens become text: steps that each turn a list of strings into
 *  another. Source: huggingface/tokenizers, decoders/. */
class Decoder {
 public:
  using Step =
      std::variant<DecodeByteLevel, DecodeByteFallback, DecodeFuse, DecodeJoin,
                   DecodeStrip, DecodeReplace, DecodeMetaspace, DecodeBpe,
                   DecodeWordPiece, DecodeCtc>;

  void add(Step step);
  const std::vector<Step>& steps() const { return steps_; }

  /** The bytes that a piece of the vocabulary stands for inside a text. */
  std::string bytes_of(std::string_view piece) const;

 private:
  std::vector<Step> steps_;
};

/** The state of decoding one stream of tokens; the decoder must outlive it. */
class DecoderStream {
 public:
  explicit DecoderStream(const Decoder& decoder);

  /** Takes one token; appends to `out` the text that no later token can
   *  change. */
  void push(std::string token, std::string& out);
  /** Appends the rest. */
  void finish(std::string& out);

 private:
  struct State {
    bool fused = false;      // the step gets parts of one string
    bool any = false;        // it got some
    std::string held;        // bytes or text held back
    std::size_t n_done = 0;  // characters stripped
    std::string last;        // token before this one
  };

  void feed(std::size_t step, std::string token, std::string& out);
  void feed_words(std::size_t step, std::string token, bool first,
                  std::string& out);
  void flush_bytes(std::size_t step, std::string& out);
  void strip_part(std::size_t step, std::string token, std::string& out);

  const Decoder& decoder_;
  std::vector<State> states_;
};

}  // namespace skua
