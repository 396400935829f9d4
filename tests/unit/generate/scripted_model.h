#pragma once

#include <mlx/mlx.h>

#include <functional>
#include <memory>
#include <vector>

#include "models/load.h"
#include "models/mtp.h"
#include "tests/unit/generate/stories.h"

namespace skua::test {

/** A model without weights: a function says the logits that follow the token
 *  at a position, whose hidden state is [position, token]. Counts what it is
 *  asked for. */
class ScriptedModel final : public CausalLM {
 public:
  using Script = std::function<std::vector<float>(int position)>;

  ScriptedModel(int vocab_size, Script script)
      : vocab_size_(vocab_size), script_(std::move(script)) {}

  int n_layers() const override { return 0; }
  int vocab_size() const override { return vocab_size_; }
  const MtpHead* mtp() const override { return head.get(); }

  std::unique_ptr<const MtpHead> head;
  mutable int n_steps = 0;
  mutable int n_rows = 0;                          // fed
  mutable int n_output_rows = 0;                   // that went through the head
  mutable std::vector<std::vector<int>> segments;  // rows of each, by step

 private:
  mx::array logits(const mx::array& ids, const Batch& batch,
                   Cache& /*cache*/) const override {
    ++n_steps;
    n_rows += ids.shape(0);
    const auto n_wanted = static_cast<int>(batch.output_rows.size());
    n_output_rows += n_wanted;
    segments.emplace_back();
    for (const Segment& s : batch.segments) segments.back().push_back(s.n_rows);
    std::vector<float> all;
    for (const int row : batch.output_rows) {
      for (const Segment& s : batch.segments) {
        if (row < s.first_row || row >= s.first_row + s.n_rows) continue;
        const auto one = script_(s.position + row - s.first_row);
        all.insert(all.end(), one.begin(), one.end());
      }
    }
    return mx::array(all.begin(), {n_wanted, vocab_size_}, mx::float32);
  }

  Step logits_and_hidden(const mx::array& ids, const Batch& batch,
                         Cache& cache) const override {
    mx::array tokens = ids;
    tokens.eval();
    std::vector<float> hidden;
    for (const Segment& s : batch.segments) {
      for (int i = 0; i < s.n_rows; ++i) {
        hidden.push_back(static_cast<float>(s.position + i));
        hidden.push_back(
            static_cast<float>(tokens.data<std::int32_t>()[s.first_row + i]));
      }
    }
    return {logits(ids, batch, cache),
            mx::array(hidden.begin(), {batch.n_rows(), 2}, mx::float32)};
  }

  int vocab_size_;
  Script script_;
};

/** Logits of 9 for one token and 0 for all others. */
inline std::vector<float> sure_of(std::int32_t token, int vocab_size = 512) {
  std::vector<float> logits(static_cast<std::size_t>(vocab_size), 0.0f);
  logits[static_cast<std::size_t>(token)] = 9;
  return logits;
}

/** The tokenizer and end token 2 of stories260K around a scripted model of
 *  512 tokens; null where the asset is absent. */
struct Scripted {
  explicit Scripted(ScriptedModel::Script script,
                    std::unique_ptr<const MtpHead> head = nullptr) {
    const auto folder = stories_folder();
    if (!folder) return;
    static const auto tokenizer = load_tokenizer(folder->path());
    auto model = std::make_unique<ScriptedModel>(512, std::move(script));
    model->head = std::move(head);
    this->model = model.get();
    loaded =
        std::make_shared<LoadedModel>(LoadedModel{{},
                                                  Config(Json::object(), ""),
                                                  {},
                                                  std::move(model),
                                                  tokenizer,
                                                  {},
                                                  {2},
                                                  0,
                                                  Config(Json::object(), "")});
  }
  /** Says these tokens, from the first after a prompt of n_prompt. */
  Scripted(std::vector<std::int32_t> says, int n_prompt)
      : Scripted([says, n_prompt](int position) {
          const auto i = static_cast<std::size_t>(position + 1 - n_prompt);
          return sure_of(i < says.size() ? says[i] : 2);
        }) {}

  std::shared_ptr<const LoadedModel> loaded;
  const ScriptedModel* model = nullptr;
};

}  // namespace skua::test
