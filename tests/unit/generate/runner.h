#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "generate/generator.h"
#include "generate/sequence.h"
#include "tests/unit/generate/scripted_model.h"

namespace skua::test {

using Ids = std::vector<std::int32_t>;

struct Answer {
  Ids ids;           // of the pieces that have one
  std::string text;  // of all pieces
  std::vector<std::optional<double>> logprobs = {};
  FinishReason reason = FinishReason::kNone;
  GenerationStats stats;
};

// A sequence alone, stepped as its pieces are asked for.
class Runner {
 public:
  Runner(const std::shared_ptr<const LoadedModel>& loaded, Memory memory,
         const Ids& prompt, const GenerationOptions& options,
         TextStart start = TextStart::kFresh, const DraftModel* draft = nullptr)
      : sequence_(std::make_shared<Sequence>(loaded, std::move(memory), prompt,
                                             options, start, draft)),
        generator_(*loaded->model) {
    generator_.add(sequence_);
  }
  Runner(const Scripted& scripted, const Ids& prompt,
         const GenerationOptions& options, const DraftModel* draft = nullptr)
      : Runner(scripted.loaded, Session(*scripted.loaded->model), prompt,
               options, TextStart::kFresh, draft) {}

  std::optional<Piece> next() {
    while (true) {
      if (auto piece = sequence_->pop()) return piece;
      if (sequence_->ended()) return std::nullopt;
      generator_.step();
    }
  }
  Sequence& operator*() { return *sequence_; }
  Sequence* operator->() { return sequence_.get(); }

 private:
  std::shared_ptr<Sequence> sequence_;
  Generator generator_;
};

inline Answer finish(Runner& run) {
  Answer answer;
  while (const auto piece = run.next()) {
    answer.text += piece->text;
    if (piece->token >= 0) answer.ids.push_back(piece->token);
    answer.logprobs.push_back(piece->logprob);
  }
  answer.reason = run->finish_reason();
  answer.stats = run->stats();
  // The end stays the end.
  EXPECT_NE(answer.reason, FinishReason::kNone);
  EXPECT_EQ(run.next(), std::nullopt);
  EXPECT_EQ(run->finish_reason(), answer.reason);
  return answer;
}

}  // namespace skua::test
