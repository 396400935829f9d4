#pragma once

#include <memory>
#include <optional>

#include "generate/generator.h"
#include "models/load.h"
#include "skua/skua.h"
#include "text/message_parser.h"

namespace skua {

struct Model::State {
  std::shared_ptr<const LoadedModel> loaded;
  std::shared_ptr<Cache> cache;  // of all sequences
  Profile profile = {};          // nothing is absent
  int context = 0;
  std::optional<DraftModel> draft = {};
  bool oracle = false;

  Session new_session() const {
    return Session(*loaded->model, cache, context);
  }
  Generator new_generator() const {
    return Generator(*loaded->model, {.oracle = oracle});
  }
  /** memory  is what to go on from and gets that back; may be null */
  std::unique_ptr<Answer> answer(
      std::vector<std::int32_t> prompt, const GenerationOptions& options,
      TextStart start, std::shared_ptr<PromptCache::State> memory) const;
};

struct PromptCache::State {
  std::optional<Memory> memory;
  int n_streams = 0;  // that have it, or had it first
};

/** A sequence that gives what it has read back to the cache it came from. */
struct Model::Answer {
  Answer(std::shared_ptr<Sequence> the_sequence,
         std::shared_ptr<PromptCache::State> of,
         std::unique_ptr<MessageParser> with = nullptr)
      : sequence(std::move(the_sequence)),
        cache(std::move(of)),
        parser(std::move(with)) {
    if (cache) ++cache->n_streams;
  }
  ~Answer() {
    if (!cache) return;
    cache->memory.emplace(sequence->take_memory());
    --cache->n_streams;
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /** The next piece that is ready, which parts() has then. */
  std::optional<Piece> pop() {
    auto piece = sequence->pop();
    if (piece && parser) parser->feed(piece->text);
    if (!piece && parser && sequence->ended() && !all_read) {
      parser->finish();
      all_read = true;
    }
    return piece;
  }
  ParsedMessage parts() const {
    return parser ? parser->message() : ParsedMessage();
  }

  std::shared_ptr<Sequence> sequence;
  std::shared_ptr<PromptCache::State> cache;  // null where there is none
  std::unique_ptr<MessageParser> parser;      // where tools were given
  bool all_read = false;
};

}  // namespace skua
