#include "generate/drafter.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "generate/constraint.h"
#include "generate/distribution.h"
#include "skua/error.h"

namespace skua {
namespace {

// Tokens that a draft model reads at first.
constexpr std::size_t kFirstRead = 32;

std::uint64_t pair_of(std::int32_t first, std::int32_t second) {
  return std::uint64_t{static_cast<std::uint32_t>(first)} << 32 |
         static_cast<std::uint32_t>(second);
}

// How many tokens before both ends are alike.
std::size_t match_length(std::span<const std::int32_t> tokens, std::size_t end,
                         std::size_t other_end) {
  constexpr std::size_t kLongest = 32;
  std::size_t n = 0;
  while (n < kLongest && n < end && n < other_end &&
         tokens[end - 1 - n] == tokens[other_end - 1 - n]) {
    ++n;
  }
  return n;
}

TokenRoles with_vocab_size(TokenRoles roles, std::size_t n) {
  roles.vocab_size = static_cast<int>(n);
  return roles;
}

// As the answer chooses, among the tokens that the draft model has.
GenerationOptions draft_options(GenerationOptions options, std::size_t n) {
  const auto lacks = [n](std::int32_t id) {
    return static_cast<std::size_t>(id) >= n;
  };
  for (auto* ids :
       {&options.suppress_ids, &options.force_ids, &options.stop_ids}) {
    std::erase_if(*ids, lacks);
  }
  if (options.xtc_special_tokens)
    std::erase_if(*options.xtc_special_tokens, lacks);
  std::erase_if(options.logit_bias,
                [&](const auto& bias) { return lacks(bias.first); });
  options.min_tokens_to_keep =
      std::min(options.min_tokens_to_keep, static_cast<int>(n));
  options.processors.clear();
  options.logprobs = false;
  options.top_logprobs = 0;
  return options;
}

std::string piece_text(const Tokenizer& tokenizer, std::int32_t id) {
  return "'" + tokenizer.piece(id) + "'";
}

}  // namespace

Verdict verify(Sampler& sampler, std::span<const float> logits,
               const History& history, const Draft& draft, std::size_t i) {
  const bool drafted = i < draft.tokens.size();
  if (!drafted || draft.distributions.empty()) {
    Choice choice = sampler.choose(logits, history);
    const bool stands = drafted && choice.token == draft.tokens[i];
    return {std::move(choice), stands};
  }
  const std::size_t step = history.tokens.size() - history.n_prompt;
  const std::int32_t token = draft.tokens[i];
  const auto id = static_cast<std::size_t>(token);
  std::vector<double> p = sampler.probabilities(logits, history);
  const std::vector<double>& q = draft.distributions[i];
  if (sampler.uniform(Purpose::kAccept, step) * q[id] < p[id])
    return {sampler.accept(token, logits, history), true};
  for (std::size_t t = 0; t < q.size(); ++t) p[t] = std::max(p[t] - q[t], 0.0);
  const std::int32_t other =
      draw_from(p, sampler.uniform(Purpose::kDraw, step));
  return {sampler.accept(other, logits, history), false};
}

void keep_what_fits(Draft& draft, Constraint& constraint) {
  const Lookahead ahead(constraint);
  std::size_t n = 0;
  for (const std::int32_t token : draft.tokens) {
    if (constraint.forced().value_or(token) != token) break;
    if (constraint.is_over() || !constraint.accept(token)) break;
    ++n;
  }
  draft.tokens.resize(n);
}

Draft PromptLookup::propose(const History& history, int n) {
  const auto tokens = history.tokens;
  // The last pair is what is looked for.
  for (std::size_t end = std::max<std::size_t>(n_indexed_, 2);
       end < tokens.size(); ++end) {
    Places& places = pairs_[pair_of(tokens[end - 2], tokens[end - 1])];
    if (places.size() == kPlaces) places.erase(places.begin());
    places.push_back(end);
  }
  n_indexed_ = std::max(n_indexed_, tokens.size());
  if (tokens.size() < 2) return {};
  const auto found = pairs_.find(
      pair_of(tokens[tokens.size() - 2], tokens[tokens.size() - 1]));
  if (found == pairs_.end()) return {};
  std::size_t best = 0, best_length = 0;
  for (const std::size_t end : found->second) {
    const std::size_t length = match_length(tokens, end, tokens.size());
    if (length < best_length) continue;
    best = end;
    best_length = length;
  }
  Draft draft;
  for (int i = 0; i < n; ++i) {
    // What repeats right up to the end goes on through what is drafted.
    const std::size_t from = best + static_cast<std::size_t>(i);
    draft.tokens.push_back(from < tokens.size()
                               ? tokens[from]
                               : draft.tokens[from - tokens.size()]);
  }
  return draft;
}

DraftChooser::DraftChooser(const GenerationOptions& options, TokenRoles roles,
                           int vocab_size, std::uint64_t seed,
                           bool with_distributions)
    : vocab_size_(
          static_cast<std::size_t>(std::min(vocab_size, roles.vocab_size))),
      sampler_(draft_options(options, vocab_size_),
               with_vocab_size(std::move(roles), vocab_size_), seed),
      with_distributions_(with_distributions) {}

Draft DraftChooser::choose(const History& history, int n, mx::array logits,
                           const std::function<mx::array(std::int32_t)>& next) {
  std::vector<std::int32_t> tokens(history.tokens.begin(),
                                   history.tokens.end());
  std::optional<Lookahead> ahead;
  if (history.constraint) ahead.emplace(*history.constraint);
  Draft draft;
  logits.eval();
  const auto begin = std::chrono::steady_clock::now();
  while (true) {
    const std::span<const float> row(logits.data<float>(), vocab_size_);
    const History now{tokens, history.n_prompt, history.constraint};
    std::int32_t token = -1;
    if (with_distributions_) {
      draft.distributions.push_back(sampler_.probabilities(row, now));
      const std::size_t step = tokens.size() - history.n_prompt;
      token = draw_from(draft.distributions.back(),
                        sampler_.uniform(Purpose::kDraft, step));
    } else {
      token = sampler_.choose(row, now).token;
    }
    draft.tokens.push_back(token);
    tokens.push_back(token);
    if (static_cast<int>(draft.tokens.size()) >= n) break;
    Constraint* constraint = history.constraint;
    if (constraint && (!constraint->accept(token) || constraint->is_over()))
      break;  // the answer ends
    logits = next(token);
    logits.eval();
  }
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - begin;
  if (n > 1) draft.seconds_per_token = time.count() / (n - 1);
  return draft;
}

ModelDrafter::ModelDrafter(std::shared_ptr<const LoadedModel> model,
                           Session&& session, const GenerationOptions& options,
                           TokenRoles roles, std::uint64_t seed,
                           bool with_distributions)
    : model_(std::move(model)),
      session_(std::move(session)),
      chooser_(options, std::move(roles), model_->model->vocab_size(), seed,
               with_distributions) {}

// Of the text, in the next step.
std::size_t ModelDrafter::n_to_read(const History& history) const {
  const auto chunk = static_cast<std::size_t>(session_.chunk());
  return std::min({history.tokens.size() - session_.n_common(history.tokens),
                   chunk, read_s_ == 0 ? kFirstRead : chunk});
}

double ModelDrafter::seconds_to_read(const History& history) const {
  return static_cast<double>(n_to_read(history)) * read_s_;
}

Draft ModelDrafter::propose(const History& history, int n) {
  const std::size_t n_known = session_.n_common(history.tokens);
  const std::size_t n_read = n_to_read(history);
  const auto begin = std::chrono::steady_clock::now();
  mx::array logits = session_.extend_to(history.tokens.first(n_known + n_read));
  logits.eval();
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - begin;
  // A step of few rows costs more for each.
  if (n_read >= kFirstRead || read_s_ == 0)
    read_s_ = time.count() / static_cast<double>(n_read);
  if (n_known + n_read < history.tokens.size()) return {};
  return chooser_.choose(
      history, n, std::move(logits),
      [this](std::int32_t token) { return session_.decode(token); });
}

void check_draft(const LoadedModel& target, const LoadedModel& draft) {
  const Tokenizer& ours = target.need_tokenizer();
  const Tokenizer& theirs = draft.need_tokenizer();
  const auto fail = [](const std::string& what) {
    throw InvalidInput("draft", what + "; both models need the same tokens");
  };
  if (ours.size() != theirs.size()) {
    fail("the tokenizer has " + std::to_string(theirs.size()) +
         " tokens, expected the model's " + std::to_string(ours.size()));
  }
  if (draft.model->vocab_size() < ours.size()) {
    fail("the vocabulary is " + std::to_string(draft.model->vocab_size()) +
         ", expected at least the tokenizer's " + std::to_string(ours.size()));
  }
  // Every special token, and some hundred others.
  const int stride = std::max(ours.size() / 512, 1);
  for (std::int32_t id = 0; id < ours.size(); ++id) {
    const bool special = ours.is_special(id) || theirs.is_special(id);
    if (!special && id % stride != 0) continue;
    if (ours.piece(id) != theirs.piece(id) ||
        ours.is_special(id) != theirs.is_special(id)) {
      fail("token " + std::to_string(id) + " is " + piece_text(theirs, id) +
           ", expected the model's " + piece_text(ours, id));
    }
  }
}

}  // namespace skua
