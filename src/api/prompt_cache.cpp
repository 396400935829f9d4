#include "api/state.h"
#include "generate/session_file.h"
#include "skua/error.h"

namespace skua {
namespace {

void refuse_oracle(bool oracle) {
  if (oracle)
    throw Unsupported("prompt cache", "is not there: an oracle has no cache");
}

}  // namespace

PromptCache::PromptCache(const Model& model)
    : model_(model), state_(std::make_shared<State>()) {}

int PromptCache::n_tokens() const {
  return state_->memory
             ? static_cast<int>(state_->memory->session.tokens().size())
             : 0;
}

void PromptCache::check_free() const {
  if (state_->n_streams > 0)
    throw InvalidInput("prompt cache", "is still read into by a stream");
}

void PromptCache::save(const std::string& path) const {
  check_free();
  if (n_tokens() == 0)
    throw InvalidInput("prompt cache", "is empty: nothing was read yet");
  refuse_oracle(model_.state_->oracle);
  save_session(state_->memory->session, path,
               identity_of(*model_.state_->loaded));
}

void PromptCache::load(const std::string& path) {
  check_free();
  const Model::State& model = *model_.state_;
  refuse_oracle(model.oracle);
  state_->memory = load_session(path, *model.loaded->model, model.cache,
                                identity_of(*model.loaded), model.context);
}

}  // namespace skua
