#include "generate/constraint.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "generate/options.h"
#include "skua/error.h"
#include "text/tool_choice.h"
#include "text/tool_grammar.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
// Of certain text that is made tokens at once.
constexpr std::size_t kMostForcedBytes = 4096;

// Without a character that is cut in two.
std::string whole_characters(std::string text, std::size_t most_bytes) {
  if (text.size() > most_bytes) text.resize(most_bytes);
  const std::size_t bad = find_invalid_utf8(text);
  if (bad != text.npos) text.resize(bad);
  return text;
}

// The last ids that together are `text`; empty where none are.
std::vector<std::int32_t> ids_of_end(const Tokenizer& tokenizer,
                                     const std::vector<std::int32_t>& ids,
                                     std::string_view text) {
  auto first = ids.end();
  while (!text.empty()) {
    if (first == ids.begin()) return {};
    const std::string bytes = tokenizer.token_bytes(*--first);
    if (!text.ends_with(bytes)) return {};
    text.remove_suffix(bytes.size());
  }
  return {first, ids.end()};
}

// What the tokenizer makes of a text behind other text. Some put a space
// before every text, which a line end takes off.
std::vector<std::int32_t> ids_behind_text(const Tokenizer& tokenizer,
                                          const std::string& text) {
  for (const char* before : {"", "\n"}) {
    const auto ids = tokenizer.encode(
        before + text, {.add_special = false, .parse_special = false});
    auto found = ids_of_end(tokenizer, ids, text);
    if (!found.empty()) return found;
  }
  return {};
}

// The same with special tokens in it, as far as it is found.
std::vector<std::int32_t> ids_with_marks(const Tokenizer& tokenizer,
                                         const std::string& text) {
  std::vector<std::int32_t> found;
  std::size_t at = 0;
  const auto take_text = [&](std::size_t end) {
    if (end == at) return true;
    const auto ids = ids_behind_text(tokenizer, text.substr(at, end - at));
    found.insert(found.end(), ids.begin(), ids.end());
    return !ids.empty();
  };
  for (const std::int32_t id :
       tokenizer.encode(text, {.add_special = false, .parse_special = true})) {
    if (!tokenizer.is_special(id)) continue;
    const std::string mark = tokenizer.piece(id);
    const std::size_t begin = text.find(mark, at);
    if (begin == text.npos || !take_text(begin)) return found;
    found.push_back(id);
    at = begin + mark.size();
  }
  take_text(text.size());
  return found;
}

// None where no answer of the model calls a tool anyway.
std::optional<Grammar> tool_grammar(const LoadedModel& model,
                                    const GenerationOptions& options,
                                    std::span<const std::int32_t> prompt) {
  const ToolChoice choice = choose_tools(options.tools, options.tool_choice);
  const MessageFormat& format = *model.message_format;
  if (format.calls.empty()) {
    if (options.tool_choice == "none") return std::nullopt;
    throw Unsupported(model.path.string(),
                      "its chat template has no form of tool calls that is "
                      "known, expected one for tools");
  }
  return tool_call_grammar(format, choice.tools,
                           {.required = choice.required,
                            .parallel = options.parallel_tool_calls,
                            .reasoning = model.may_reason(),
                            .open_marker = model.open_marker(prompt)});
}

}  // namespace

std::unique_ptr<Constraint> Constraint::make(
    const LoadedModel& model, const GenerationOptions& options,
    std::span<const std::int32_t> prompt) {
  auto grammar = grammar_of(options);
  if (!grammar && !options.tools.empty())
    grammar = tool_grammar(model, options, prompt);
  if (!grammar) return nullptr;
  return std::unique_ptr<Constraint>(new Constraint(
      constraints_of(options).front(), model, *grammar, options));
}

Constraint::Constraint(const char* option, const LoadedModel& model,
                       const Grammar& grammar, const GenerationOptions& options)
    : option_(option),
      tokenizer_(model.tokenizer),
      has_marks_(grammar.kind == Grammar::Kind::kToolCalls),
      matcher_(model.compile(grammar)),
      may_force_(options.processors.empty() && options.no_repeat_ngram == 0),
      n_free_(options.force_ids.size()),
      vocab_size_(model.model->vocab_size()),
      mask_((static_cast<std::size_t>(model.n_tokens()) + 31) / 32) {
  ends_.insert(options.stop_ids.begin(), options.stop_ids.end());
  (options.ignore_eos ? not_ends_ : ends_)
      .insert(model.eos_ids.begin(), model.eos_ids.end());
  banned_.insert(options.suppress_ids.begin(), options.suppress_ids.end());
  for (const auto& [id, bias] : options.logit_bias)
    if (std::isinf(bias)) banned_.insert(id);
}

void Constraint::find_mask() {
  if (mask_known_) return;
  matcher_.fill_mask(mask_);
  const auto word = [&](std::int32_t id) -> std::uint32_t& {
    return mask_[static_cast<std::size_t>(id) / 32];
  };
  const auto bit = [](std::int32_t id) { return std::uint32_t{1} << id % 32; };
  for (const auto* ids : {&ends_, &not_ends_})
    for (const std::int32_t id : *ids) word(id) &= ~bit(id);
  const bool can_end = matcher_.can_end();
  over_ = can_end && std::ranges::all_of(mask_, [](auto w) { return w == 0; });
  if (can_end)
    for (const std::int32_t id : ends_) word(id) |= bit(id);
  mask_known_ = true;
}

void Constraint::prepare() {
  if (!forced()) find_mask();
}

void Constraint::forbid_others(std::span<float> logits) {
  find_mask();
  for (std::size_t begin = 0; begin < logits.size(); begin += 32) {
    const std::uint32_t word = mask_[begin / 32];
    if (word == ~std::uint32_t{0}) continue;
    const std::size_t end = std::min(logits.size(), begin + 32);
    for (std::size_t i = begin; i < end; ++i)
      if ((word >> (i - begin) & 1) == 0) logits[i] = kNever;
  }
}

bool Constraint::is_over() {
  if (!matcher_.can_end()) return false;
  find_mask();
  return over_;
}

bool Constraint::accept(std::int32_t id) {
  if (ends_.contains(id) || not_ends_.contains(id)) return false;
  if (!matcher_.accept(id)) return false;
  ++n_accepted_;
  mask_known_ = false;
  if (forced_.ids.empty() || forced_.ids.back() != id) {
    forced_ = {};
  } else {
    forced_.ids.pop_back();
    forced_.known = !forced_.ids.empty();
  }
  return true;
}

// How many of them the grammar, which asks for their text, and the other
// options let through, the last one left out unless the text ends with it.
std::size_t Constraint::count_forceable(const std::vector<std::int32_t>& ids) {
  std::size_t n = 0;
  int n_taken = 0;
  for (const std::int32_t id : ids) {
    const bool allowed = id < vocab_size_ && !banned_.contains(id) &&
                         !ends_.contains(id) && !not_ends_.contains(id);
    if (!allowed || !matcher_.accept(id)) break;
    ++n_taken;
    if (n_taken < static_cast<int>(ids.size()) || matcher_.is_over()) ++n;
  }
  matcher_.rollback(n_taken);
  return n;
}

void Constraint::find_forced() {
  forced_ = {.ids = {}, .known = true};
  const std::string text =
      whole_characters(matcher_.forced_text(), kMostForcedBytes);
  if (text.empty()) return;
  forced_.ids = has_marks_ ? ids_with_marks(*tokenizer_, text)
                           : ids_behind_text(*tokenizer_, text);
  forced_.ids.resize(count_forceable(forced_.ids));
  std::ranges::reverse(forced_.ids);
}

std::optional<std::int32_t> Constraint::forced() {
  if (!may_force_ || n_accepted_ < n_free_) return std::nullopt;
  if (!forced_.known) find_forced();
  if (forced_.ids.empty()) return std::nullopt;
  return forced_.ids.back();
}

std::vector<std::int32_t> Constraint::all_forced(std::size_t n) {
  if (!forced()) return {};
  const auto begin = forced_.ids.rbegin();
  n = std::min(n, forced_.ids.size());
  return {begin, begin + static_cast<std::ptrdiff_t>(n)};
}

Lookahead::Lookahead(Constraint& constraint)
    : constraint_(constraint),
      n_before_(constraint.n_accepted_),
      forced_before_(constraint.forced_) {}

Lookahead::~Lookahead() {
  const std::size_t n = constraint_.n_accepted_ - n_before_;
  if (n == 0) return;
  constraint_.matcher_.rollback(static_cast<int>(n));
  constraint_.n_accepted_ = n_before_;
  constraint_.mask_known_ = false;
  constraint_.forced_ = std::move(forced_before_);
}

}  // namespace skua
