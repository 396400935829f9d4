#include "text/decoder.h"

#include <utility>

#include "skua/error.h"
#include "text/decode_token.h"
#include "text/normalizer.h"
#include "text/utf8.h"

namespace skua {
namespace {

template <typename T>
const T* as(const Decoder::Step& step) {
  return std::get_if<T>(&step);
}

// Real decoders never make a token much longer.
constexpr std::size_t kMaxTokenBytes = 1 << 20;

// Whether a step on one fused string needs all of it before the first byte.
bool needs_all(const Decoder::Step& step) {
  if (const auto* strip = as<DecodeStrip>(step)) return strip->stop > 0;
  if (const auto* word = as<DecodeWordPiece>(step)) return word->cleanup;
  return !as<DecodeFuse>(step) && !as<DecodeJoin>(step);
}

}  // namespace

void Decoder::add(Step step) {
  steps_.push_back(std::move(step));
}

std::string Decoder::bytes_of(std::string_view piece) const {
  std::string text(piece);
  for (const Step& step : steps_) {
    if (as<DecodeByteLevel>(step)) return from_byte_level(text);
    if (as<DecodeByteFallback>(step)) {
      const int byte = byte_token(text);
      if (byte >= 0) return std::string(1, static_cast<char>(byte));
    }
    if (as<DecodeFuse>(step)) break;
    if (const auto* replace = as<DecodeReplace>(step))
      text = replace_matches(text, *replace->pattern, replace->text);
    if (const auto* metaspace = as<DecodeMetaspace>(step))
      text = from_metaspace(text, *metaspace, false);
    if (const auto* bpe = as<DecodeBpe>(step))
      text = replace_all(text, bpe->suffix, " ");
    if (const auto* word = as<DecodeWordPiece>(step))
      text = from_word_piece(text, *word, false);
    if (const auto* ctc = as<DecodeCtc>(step)) text = from_ctc(text, *ctc);
  }
  return text;
}

DecoderStream::DecoderStream(const Decoder& decoder)
    : decoder_(decoder), states_(decoder.steps().size()) {
  bool fused = false;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i].fused = fused;
    const auto& step = decoder.steps()[i];
    fused = fused || as<DecodeByteLevel>(step) || as<DecodeFuse>(step) ||
            as<DecodeJoin>(step);
  }
}

void DecoderStream::push(std::string token, std::string& out) {
  feed(0, std::move(token), out);
}

void DecoderStream::feed(std::size_t at, std::string token, std::string& out) {
  if (at == states_.size()) {
    out += token;
    return;
  }
  State& state = states_[at];
  const bool first = !state.any;
  state.any = true;
  const auto& step = decoder_.steps()[at];
  if (state.fused && needs_all(step)) {
    state.held += token;
  } else if (as<DecodeByteLevel>(step)) {
    state.held += from_byte_level(token);
    std::string text;
    drain_utf8(state.held, text, false);
    feed(at + 1, std::move(text), out);
  } else if (as<DecodeByteFallback>(step)) {
    const int byte = byte_token(token);
    if (byte >= 0) {
      state.held += static_cast<char>(byte);
      return;
    }
    flush_bytes(at, out);
    feed(at + 1, std::move(token), out);
  } else if (const auto* join = as<DecodeJoin>(step)) {
    feed(at + 1, (first ? "" : join->separator) + token, out);
  } else if (const auto* strip_step = as<DecodeStrip>(step)) {
    if (state.fused)
      strip_part(at, std::move(token), out);
    else
      feed(at + 1, strip(token, *strip_step), out);
  } else if (const auto* replace = as<DecodeReplace>(step)) {
    token = replace_matches(token, *replace->pattern, replace->text);
    if (token.size() > kMaxTokenBytes)
      throw InvalidInput("tokenizer", "decoding makes a token too long");
    feed(at + 1, std::move(token), out);
  } else if (const auto* metaspace = as<DecodeMetaspace>(step)) {
    feed(at + 1, from_metaspace(token, *metaspace, first), out);
  } else {
    feed_words(at, std::move(token), first, out);
  }
}

// The steps of word-based tokenizers; others pass the token on.
void DecoderStream::feed_words(std::size_t at, std::string token, bool first,
                               std::string& out) {
  State& state = states_[at];
  const auto& step = decoder_.steps()[at];
  if (const auto* bpe = as<DecodeBpe>(step)) {
    if (!first) feed(at + 1, replace_all(state.last, bpe->suffix, " "), out);
    state.last = std::move(token);
  } else if (const auto* ctc = as<DecodeCtc>(step)) {
    if (!first && token == state.last) return;
    std::string text = from_ctc(token, *ctc);
    state.last = std::move(token);
    if (!text.empty()) feed(at + 1, std::move(text), out);
  } else if (const auto* word = as<DecodeWordPiece>(step)) {
    if (state.fused && !first)
      feed(at + 1, std::move(token), out);
    else
      feed(at + 1, from_word_piece(token, *word, first), out);
  } else {
    feed(at + 1, std::move(token), out);
  }
}

// A run of byte tokens is text as a whole or one U+FFFD per byte.
void DecoderStream::flush_bytes(std::size_t at, std::string& out) {
  std::string bytes = std::move(states_[at].held);
  states_[at].held.clear();
  if (bytes.empty()) return;
  if (find_invalid_utf8(bytes) == std::string::npos) {
    feed(at + 1, std::move(bytes), out);
    return;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i)
    feed(at + 1, "\xef\xbf\xbd", out);
}

void DecoderStream::strip_part(std::size_t at, std::string token,
                               std::string& out) {
  const auto& step = std::get<DecodeStrip>(decoder_.steps()[at]);
  std::size_t& n_done = states_[at].n_done;
  std::string_view text = token;
  while (n_done < step.start && text.starts_with(step.content)) {
    text.remove_prefix(step.content.size());
    ++n_done;
  }
  if (!text.empty()) n_done = step.start;
  feed(at + 1, std::string(text), out);
}

void DecoderStream::finish(std::string& out) {
  for (std::size_t at = 0; at < states_.size(); ++at) {
    State& state = states_[at];
    const auto& step = decoder_.steps()[at];
    if (!state.any) continue;
    std::string held = std::move(state.held);
    state.held.clear();
    if (as<DecodeByteFallback>(step)) {
      const int byte = state.fused ? byte_token(held) : -1;
      if (byte >= 0) held = static_cast<char>(byte);
      if (!state.fused || byte >= 0) {
        state.held = std::move(held);
        flush_bytes(at, out);
        continue;
      }
    } else if (as<DecodeByteLevel>(step)) {
      std::string text;
      if (state.fused) held = from_byte_level(held);
      drain_utf8(held, text, true);
      held = std::move(text);
    } else if (const auto* bpe = as<DecodeBpe>(step)) {
      held = replace_all(state.fused ? held : state.last, bpe->suffix, "");
    } else if (!state.fused || !needs_all(step)) {
      continue;
    } else if (const auto* strip_step = as<DecodeStrip>(step)) {
      held = strip(held, *strip_step);
    } else if (const auto* replace = as<DecodeReplace>(step)) {
      held = replace_matches(held, *replace->pattern, replace->text);
    } else if (const auto* metaspace = as<DecodeMetaspace>(step)) {
      held = from_metaspace(held, *metaspace, true);
    } else if (const auto* word = as<DecodeWordPiece>(step)) {
      held = from_word_piece(held, *word, true);
    } else if (const auto* ctc = as<DecodeCtc>(step)) {
      held = from_ctc(held, *ctc);
    }
    feed(at + 1, std::move(held), out);
  }
}

}  // namespace skua
