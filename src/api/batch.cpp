#include <deque>
#include <mutex>
#include <string>

#include "api/state.h"
#include "skua/error.h"

namespace skua {

struct BatchStream::State {
  struct Row {
    std::unique_ptr<Model::Answer> answer;  // null once it has ended
    FinishReason finish_reason = FinishReason::kNone;
    GenerationStats stats = {};
    ParsedMessage parts = {};
    std::optional<std::string> error = {};
    bool end_told = false;
  };

  explicit State(Model of)
      : model(std::move(of)), generator(model.state_->new_generator()) {}

  const Row& row(std::size_t i) const {
    if (i < rows.size()) return rows[i];
    throw InvalidInput("batch", "row is " + std::to_string(i) +
                                    ", expected less than " +
                                    std::to_string(rows.size()));
  }

  // The next piece of a row; where it has ended its memory is given back.
  std::optional<Piece> pop(Row& row) {
    if (!row.answer) return std::nullopt;
    Sequence& sequence = *row.answer->sequence;
    try {
      if (auto piece = row.answer->pop()) return piece;
    } catch (const std::exception& error) {
      row.error = error.what();
    }
    if (sequence.ended()) {
      row.finish_reason = sequence.finish_reason();
      row.stats = sequence.stats();
      row.parts = row.answer->parts();
      generator.remove(sequence);
      const std::lock_guard lock(mutex);
      row.answer.reset();
    }
    return std::nullopt;
  }

  Model model;
  std::mutex mutex;  // of rows and their answers, for cancel()
  std::deque<Row> rows;
  std::size_t first = 0;  // of the rows whose end was not told
  std::size_t at = 0;     // what comes next of this step
  // Last: what still runs leaves the sequences before they go.
  Generator generator;
};

BatchStream::BatchStream(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
BatchStream::BatchStream(BatchStream&&) noexcept = default;
BatchStream& BatchStream::operator=(BatchStream&&) noexcept = default;
BatchStream::~BatchStream() = default;

BatchStream Model::batch() const {
  return BatchStream(std::make_unique<BatchStream::State>(*this));
}

template <class Prompt>
std::size_t BatchStream::add_row(const Prompt& prompt,
                                 const GenerationOptions& options) {
  State::Row row;
  try {
    row.answer = state_->model.answer(prompt, options);
    state_->generator.add(row.answer->sequence);
  } catch (const std::exception& error) {
    row.finish_reason = FinishReason::kError;
    row.error = error.what();
  }
  const std::lock_guard lock(state_->mutex);
  state_->rows.push_back(std::move(row));
  return state_->rows.size() - 1;
}

std::size_t BatchStream::add(const Chat& chat,
                             const GenerationOptions& options) {
  return add_row(chat, options);
}

std::size_t BatchStream::add(std::string_view text,
                             const GenerationOptions& options) {
  return add_row(text, options);
}

std::optional<BatchStream::Event> BatchStream::next() {
  std::deque<State::Row>& rows = state_->rows;
  std::size_t& i = state_->at;
  while (true) {
    for (; i < rows.size(); ++i) {
      if (rows[i].end_told) continue;
      if (auto piece = state_->pop(rows[i])) return Event{i, std::move(piece)};
      if (rows[i].answer) continue;
      rows[i].end_told = true;
      return Event{i++, std::nullopt};
    }
    while (state_->first < rows.size() && rows[state_->first].end_told)
      ++state_->first;
    if (state_->first == rows.size()) return std::nullopt;
    i = state_->first;
    state_->generator.step();
  }
}

void BatchStream::cancel(std::size_t row) {
  const std::lock_guard lock(state_->mutex);
  const State::Row& found = state_->row(row);
  if (found.answer) found.answer->sequence->cancel();
}

FinishReason BatchStream::finish_reason(std::size_t row) const {
  return state_->row(row).finish_reason;
}

GenerationStats BatchStream::stats(std::size_t row) const {
  const State::Row& found = state_->row(row);
  return found.answer ? found.answer->sequence->stats() : found.stats;
}

ParsedMessage BatchStream::parts(std::size_t row) const {
  const State::Row& found = state_->row(row);
  return found.answer ? found.answer->parts() : found.parts;
}

std::optional<std::string> BatchStream::error(std::size_t row) const {
  return state_->row(row).error;
}

}  // namespace skua
