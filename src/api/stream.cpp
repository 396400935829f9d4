#include "api/state.h"

namespace skua {

struct Stream::State {
  explicit State(std::unique_ptr<Model::Answer> the_answer,
                 const Model::State& model)
      : answer(std::move(the_answer)), generator(model.new_generator()) {
    generator.add(answer->sequence);
  }
  std::unique_ptr<Model::Answer> answer;
  Generator generator;
};

Stream Model::stream(const Chat& chat, const GenerationOptions& options) const {
  return Stream(
      std::make_unique<Stream::State>(answer(chat, options), *state_));
}

Stream Model::complete(std::string_view text,
                       const GenerationOptions& options) const {
  return Stream(
      std::make_unique<Stream::State>(answer(text, options), *state_));
}

Stream Model::complete(std::string_view text, PromptCache& cache,
                       const GenerationOptions& options) const {
  return Stream(
      std::make_unique<Stream::State>(answer(text, cache, options), *state_));
}

Stream::Stream(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

std::optional<Piece> Stream::next() {
  Model::Answer& answer = *state_->answer;
  while (true) {
    if (auto piece = answer.pop()) return piece;
    if (answer.sequence->ended()) return std::nullopt;
    state_->generator.step();
  }
}

void Stream::cancel() {
  state_->answer->sequence->cancel();
}

FinishReason Stream::finish_reason() const {
  return state_->answer->sequence->finish_reason();
}

GenerationStats Stream::stats() const {
  return state_->answer->sequence->stats();
}

ParsedMessage Stream::parts() const {
  return state_->answer->parts();
}

}  // namespace skua
