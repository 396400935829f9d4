#pragma once

#include <memory>
#include <optional>

#include "generate/generator.h"
#include "models/load.h"
#include "skua/skua.h"

namespace skua {

struct Model::State {
  std::shared_ptr<const LoadedModel> loaded;
  std::shared_ptr<Cache> cache;  // of all sequences
  int context = 0;

  Session new_session() const {
    return Session(*loaded->model, cache, context);
  }
};

// What the model has read of a chat. A stream takes it and gives it back.
struct Chat::Memory {
  std::optional<Session> session;
};

struct Model::Answer {
  ~Answer() {
    if (memory) memory->session.emplace(sequence->take_session());
  }
  std::shared_ptr<Sequence> sequence;
  std::shared_ptr<Chat::Memory> memory;  // null for raw text
};

}  // namespace skua
