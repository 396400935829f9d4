#include "generate/sequence.h"

#include <algorithm>
#include <random>
#include <string>

#include "base/memory.h"
#include "generate/head_drafter.h"
#include "generate/options.h"
#include "kernels/cpu/vocabulary.h"
#include "skua/error.h"

namespace skua {
namespace {

// With the logits of so many rows of a prompt in memory at once.
constexpr int kLogprobRows = 32;
// Forced tokens in a step whose logits are wanted.
constexpr int kForcedRows = 32;

std::uint64_t fresh_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

// The answer's most tokens beside a prompt of n.
int fit_to_context(std::size_t n, const GenerationOptions& options,
                   int context) {
  if (context == 0) return options.max_tokens;
  const auto room =
      static_cast<std::int64_t>(context) - static_cast<std::int64_t>(n);
  if (options.max_tokens <= room) return options.max_tokens;
  if (room >= 1 && options.fit_to_context) return static_cast<int>(room);
  std::string text = "has " + std::to_string(n) + " tokens";
  if (room >= 1) {
    text += " and max_tokens is " + std::to_string(options.max_tokens) +
            ", expected at most the context of " + std::to_string(context) +
            " together; lower max_tokens to " + std::to_string(room);
  } else {
    text += ", expected fewer than the context of " + std::to_string(context) +
            "; shorten it or raise the context";
  }
  throw InvalidInput("prompt", text);
}

GenerationOptions checked(const LoadedModel& model, GenerationOptions options,
                          const std::vector<std::int32_t>& prompt, int context,
                          const DraftModel* draft_model) {
  check(options, model.model->vocab_size());
  if (options.draft_tokens > 0 && !options.prompt_lookup &&
      draft_model == nullptr && model.model->mtp() == nullptr) {
    throw InvalidInput(
        "options",
        "draft_tokens: got " + std::to_string(options.draft_tokens) +
            ", expected a draft model, mtp or prompt_lookup with it");
  }
  model.need_tokenizer();
  if (prompt.empty()) throw InvalidInput("prompt", "is empty");
  check_ids(prompt, model.model->vocab_size(), "prompt");
  options.max_tokens = fit_to_context(prompt.size(), options, context);
  if (!options.seed) options.seed = fresh_seed();
  return options;
}

TokenRoles roles_of(const LoadedModel& model) {
  TokenRoles roles;
  roles.vocab_size = model.model->vocab_size();
  roles.eos_ids = model.eos_ids;
  roles.newline_ids = model.tokenizer->encode("\n", {.add_special = false});
  roles.text = [tokenizer = model.tokenizer](std::int32_t id) {
    return id < tokenizer->size() ? tokenizer->token_bytes(id) : "";
  };
  return roles;
}

// Tokens that were not drawn stand by probability exactly when they are what
// would have been drawn.
bool by_equality(const GenerationOptions& options) {
  return options.draft_by_equality || options.prompt_lookup ||
         options.temperature == 0;
}

std::unique_ptr<Drafter> make_drafter(
    const std::shared_ptr<const LoadedModel>& model,
    const GenerationOptions& options, const DraftModel* draft_model,
    Memory& memory) {
  if (options.draft_tokens == 0) return nullptr;
  if (options.prompt_lookup) return std::make_unique<PromptLookup>();
  const bool with_distributions = !by_equality(options);
  if (draft_model == nullptr) {
    return std::make_unique<HeadDrafter>(
        model, memory.session.cache().options(), options, roles_of(*model),
        *options.seed, with_distributions);
  }
  const bool goes_on =
      memory.draft && &memory.draft->cache() == draft_model->cache.get();
  Session session =
      goes_on ? std::move(*memory.draft)
              : Session(*draft_model->model->model, draft_model->cache, 0);
  memory.draft.reset();
  return std::make_unique<ModelDrafter>(draft_model->model, std::move(session),
                                        options, roles_of(*model),
                                        *options.seed, with_distributions);
}

}  // namespace

Sequence::Sequence(std::shared_ptr<const LoadedModel> model, Memory&& memory,
                   std::vector<std::int32_t> prompt,
                   const GenerationOptions& options, TextStart start,
                   const DraftModel* draft_model)
    : model_(std::move(model)),
      options_(checked(*model_, options, prompt, memory.session.context(),
                       draft_model)),
      tokens_(std::move(prompt)),
      n_prompt_(tokens_.size()),
      constraint_(Constraint::make(*model_, options_, tokens_)),
      sampler_(options_, roles_of(*model_), *options_.seed),
      foreseer_(std::make_shared<const Sampler>(sampler_)),
      // Special tokens are among the marks of calls.
      detokenizer_(model_->tokenizer, options_.tools.empty()),
      stops_(options_.stop, options_.include_stop),
      drafter_(make_drafter(model_, options_, draft_model, memory)),
      draft_length_(options_.draft_tokens, options_.draft_fixed),
      session_(std::move(memory.session)) {
  stats_.n_prompt_tokens = static_cast<int>(n_prompt_);
  stats_.seed = *options_.seed;
  if (drafter_) stats_.draft.emplace().by_equality = by_equality(options_);
  // A grammar's text keeps the space that a fresh text would lose.
  if (start == TextStart::kContinues || constraint_) {
    for (const std::int32_t id : tokens_) detokenizer_.push(id);
    prompt_tail_ = Detokenizer(detokenizer_).finish();
  }
}

Memory Sequence::take_memory() {
  Memory memory(std::move(session_));
  if (drafter_) memory.draft = drafter_->take_session();
  return memory;
}

// Without what is still the prompt's.
std::string Sequence::new_text(std::string text) {
  const auto [tail, rest] = std::ranges::mismatch(prompt_tail_, text);
  const auto n = static_cast<std::size_t>(rest - text.begin());
  if (n < text.size() && n < prompt_tail_.size()) {
    prompt_tail_.clear();  // later tokens made another text of it
    return text;
  }
  prompt_tail_.erase(0, n);
  return text.substr(n);
}

double Sequence::since_start() const {
  return std::chrono::duration<double>(Clock::now() - *start_).count();
}

std::optional<Piece> Sequence::pop() {
  if (pieces_.empty()) {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return std::nullopt;
  }
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

FinishReason Sequence::finish_reason() const {
  return pieces_.empty() ? finish_ : FinishReason::kNone;
}

bool Sequence::begin_step() {
  if (ended()) return false;
  if (cancelled_) {
    end(FinishReason::kCancelled, {});
  } else if (options_.max_tokens == 0) {
    end(FinishReason::kLength, {});
  } else if (!answers() && constraint_ && constraint_->is_over()) {
    end(FinishReason::kStop, {});
  } else if (!start_) {
    start_ = Clock::now();
    const std::size_t n_kept =
        options_.prompt_logprobs ? 0 : session_.n_common(tokens_);
    session_.rewind(static_cast<int>(n_kept));
    stats_.n_cached_tokens = static_cast<int>(n_kept);
  } else if (options_.time_limit_ms != 0 &&
             since_start() * 1000 >= options_.time_limit_ms) {
    end(FinishReason::kTime, {});
  }
  return !ended();
}

void Sequence::draft(const StepCost& cost, int n_other) {
  draft_ = {};
  draft_is_forced_ = false;
  const int n_left = options_.max_tokens - stats_.n_generated_tokens - 1;
  if (!answers() || n_left <= 0 || n_unread() > session_.chunk()) return;
  if (constraint_ && sampler_.looks_at_accepted()) {
    draft_.tokens = constraint_->all_forced(
        static_cast<std::size_t>(std::min(n_left, kForcedRows)));
    draft_is_forced_ = !draft_.tokens.empty();
  }
  if (!drafter_ || draft_is_forced_) return;
  const DraftLength::Now now{.n_other = n_other,
                             .n_left = n_left,
                             .elapsed_s = since_start(),
                             .read_s = drafter_->seconds_to_read(history())};
  const int n = std::min(draft_length_.choose(cost, now), n_left);
  if (n <= 0) return;
  const auto begin = Clock::now();
  use_drafter(
      [&](Drafter& drafter) { draft_ = drafter.propose(history(), n); });
  const std::chrono::duration<double> time = Clock::now() - begin;
  draft_length_.spend(time.count());
  if (constraint_ && draft_.distributions.empty())
    keep_what_fits(draft_, *constraint_);
  draft_length_.learn_cost(draft_.seconds_per_token);
}

// Goes on without drafts where it fails.
void Sequence::use_drafter(const std::function<void(Drafter&)>& use) {
  try {
    use(*drafter_);
  } catch (const std::exception& error) {
    stats_.draft->warning = error.what();
    drafter_.reset();
  } catch (...) {
    stats_.draft->warning = "unknown failure";
    drafter_.reset();
  }
}

int Sequence::n_unread() const {
  return static_cast<int>(tokens_.size() - session_.tokens().size());
}

int Sequence::n_ready() const {
  const int n = n_unread();
  if (answers()) {
    return std::min(n, session_.chunk()) +
           static_cast<int>(draft_.tokens.size());
  }
  return std::min({n, options_.prefill_chunk, session_.chunk(),
                   options_.prompt_logprobs ? kLogprobRows : n});
}

void Sequence::add_to(Batch& batch, std::vector<std::int32_t>& ids, int n) {
  const std::size_t begin = session_.tokens().size();
  const std::size_t n_known =
      std::min(static_cast<std::size_t>(n), tokens_.size() - begin);
  const auto rows = std::span(tokens_).subspan(begin, n_known);
  const int first_row = batch.n_rows();
  session_.add_to(batch, n);
  batch.segments.back().n_drafted = n - static_cast<int>(n_known);
  ids.insert(ids.end(), rows.begin(), rows.end());
  ids.insert(ids.end(), draft_.tokens.begin(), draft_.tokens.end());
  // The rows whose logits count: of all of a prompt, or from the last token on.
  int first_wanted = static_cast<int>(n_known) - 1;
  if (options_.prompt_logprobs && !answers())
    first_wanted = 0;
  else if (begin + n_known < tokens_.size())
    first_wanted = n;
  for (int row = first_wanted; row < n; ++row)
    batch.output_rows.push_back(first_row + row);
}

// Row i of the step holds what follows its token.
void Sequence::take_prompt_logprobs(std::span<const float> logits, int n_rows) {
  const auto vocab_size = static_cast<std::size_t>(model_->model->vocab_size());
  std::vector<float> log_p(vocab_size);
  const std::size_t end = session_.tokens().size();
  for (std::size_t row = 0; row * vocab_size < logits.size(); ++row) {
    const std::size_t next = end - static_cast<std::size_t>(n_rows) + row + 1;
    if (next >= n_prompt_) return;
    cpu::log_softmax(&logits[row * vocab_size], vocab_size, log_p.data());
    stats_.prompt_logprobs.push_back(
        log_p[static_cast<std::size_t>(tokens_[next])]);
  }
}

void Sequence::take_prompt(std::span<const float> logits, int n_rows) {
  const auto n_held = static_cast<int>(session_.tokens().size());
  if (options_.prompt_logprobs) take_prompt_logprobs(logits, n_rows);
  if (n_held == stats_.n_prompt_tokens) {
    stats_.prompt_s = since_start();
    session_.mark();
  }
  if (options_.prompt_progress &&
      !options_.prompt_progress(n_held, stats_.n_prompt_tokens)) {
    cancelled_ = true;
  }
}

bool Sequence::may_draft_next() const {
  return drafter_ && !draft_length_.rests();
}

bool Sequence::foreseeable(int n_rows) {
  const bool reads_all =
      session_.tokens().size() + static_cast<std::size_t>(n_rows) ==
      tokens_.size();
  if (!reads_all || may_draft_next() || constraint_ || cancelled_ ||
      stats_.n_generated_tokens + 2 > options_.max_tokens)
    return false;
  return options_.temperature == 0 ||
         (foresees_draws() && sampler_.draws_from_logits(history()));
}

void Sequence::take(std::span<const float> logits, int n_rows,
                    std::span<const float> hidden) {
  const auto vocab_size = static_cast<std::size_t>(model_->model->vocab_size());
  const std::size_t n_drafted = draft_.tokens.size();
  const auto rows = std::span(tokens_).subspan(
      session_.tokens().size(), static_cast<std::size_t>(n_rows) - n_drafted);
  if (reads_hidden() && !hidden.empty()) {
    const auto position = static_cast<int>(session_.tokens().size());
    use_drafter(
        [&](Drafter& drafter) { drafter.read(tokens_, position, hidden); });
  }
  session_.fed(rows);
  if (!answers()) take_prompt(logits, n_rows);
  if (session_.tokens().size() < tokens_.size() || cancelled_) {
    if (n_drafted > 0) session_.recover();
    return;
  }
  const bool counts = answers();  // as a step after the prompt
  session_.fed(draft_.tokens);
  const int n_before = stats_.n_generated_tokens;
  const int n_stood = choose_tokens(logits.last((n_drafted + 1) * vocab_size));
  if (counts && stats_.draft)
    count_draft(stats_.n_generated_tokens - n_before, n_stood);
  // The newest token is not read yet, and what did not stand no more. Where
  // states lead further back, the next step reads what stood again.
  if (session_.tokens().size() >= tokens_.size())
    session_.rewind(static_cast<int>(tokens_.size()) - 1);
  append_forced();
}

// How many of the draft stood. Row i of the logits [n, V] is what follows the
// newest token and i drafted ones.
int Sequence::choose_tokens(std::span<const float> logits) {
  const auto vocab_size = static_cast<std::size_t>(model_->model->vocab_size());
  std::size_t n_stood = 0;
  for (bool stands = true; stands && !ended();) {
    const bool forced = constraint_ && constraint_->forced();
    Verdict verdict =
        verify(sampler_, logits.subspan(n_stood * vocab_size, vocab_size),
               history(), draft_, n_stood);
    stands = verdict.stands;
    if (forced) ++stats_.n_forced_tokens;
    append(std::move(verdict.choice), stands && !draft_is_forced_);
    if (stands) ++n_stood;
  }
  return static_cast<int>(n_stood);
}

void Sequence::count_draft(int n_chosen, int n_stood) {
  DraftStats& stats = *stats_.draft;
  ++stats.n_steps;
  if (draft_is_forced_) return;
  const auto n_drafted = static_cast<int>(draft_.tokens.size());
  if (n_drafted > 0) ++stats.n_rounds;
  stats.n_proposed += ended() ? std::min(n_chosen, n_drafted) : n_drafted;
  stats.n_accepted += n_stood;
  draft_length_.learn(n_drafted, n_stood);
}

// Tokens without a choice, which the next step reads; those whose logits are
// wanted wait for it.
void Sequence::append_forced() {
  if (!constraint_ || sampler_.looks_at_accepted()) return;
  while (!ended()) {
    const auto id = constraint_->forced();
    if (!id) return;
    ++stats_.n_forced_tokens;
    append({*id, {}, {}});
  }
}

void Sequence::prepare() {
  if (!constraint_) return;
  try {
    constraint_->prepare();
  } catch (...) {
    return;  // take() will fail likewise, for this sequence alone
  }
}

void Sequence::append(Choice choice, bool from_draft) {
  const std::int32_t token = choice.token;
  const bool eos = !options_.ignore_eos && model_->eos_ids.contains(token);
  const bool ends = eos || std::ranges::find(options_.stop_ids, token) !=
                               options_.stop_ids.end();
  if (!ends && constraint_ && !constraint_->accept(token)) {
    throw Error("sampler", "token " + std::to_string(token) +
                               " was chosen against the " +
                               constraint_->option());
  }
  tokens_.push_back(token);
  Piece piece{.text = "",
              .token = token,
              .logprob = choice.logprob,
              .top_logprobs = std::move(choice.top_logprobs),
              .time_s = since_start(),
              .from_draft = from_draft};
  if (stats_.n_generated_tokens++ == 0) stats_.first_token_s = piece.time_s;
  stats_.generate_s = piece.time_s - stats_.first_token_s;
  if (ends) {
    stats_.stop_id = token;
    return end(FinishReason::kStop, std::move(piece));
  }
  const StopMatcher::Found found =
      stops_.push(new_text(detokenizer_.push(token)));
  piece.text = found.text;
  if (found.stop) {
    stats_.stop = options_.stop[*found.stop];
    return end(FinishReason::kStop, std::move(piece));
  }
  if (constraint_ && constraint_->is_over())
    return end(FinishReason::kStop, std::move(piece));
  if (stats_.n_generated_tokens == options_.max_tokens)
    return end(FinishReason::kLength, std::move(piece));
  pieces_.push_back(std::move(piece));
}

void Sequence::end(FinishReason reason, Piece piece) {
  if (!stats_.stop) {
    for (const StopMatcher::Found& found :
         {stops_.push(new_text(detokenizer_.finish())), stops_.finish()}) {
      piece.text += found.text;
      if (!found.stop) continue;
      stats_.stop = options_.stop[*found.stop];
      stats_.stop_id.reset();
      reason = FinishReason::kStop;
    }
  }
  if (piece.token >= 0 || !piece.text.empty())
    pieces_.push_back(std::move(piece));
  stats_.peak_memory_bytes = peak_memory();
  finish_ = reason;
}

void Sequence::fail(std::exception_ptr error) {
  if (ended()) return;
  try {
    session_.recover();
  } catch (...) {
    session_.rewind(0);  // always possible
  }
  end(FinishReason::kError, {});
  finish_ = FinishReason::kError;
  error_ = std::move(error);
}

}  // namespace skua
