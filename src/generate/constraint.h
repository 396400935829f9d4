#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/load.h"
#include "skua/generation.h"
#include "text/grammar.h"

namespace skua {

/** Holds one answer to a grammar: which tokens may come next, and those that
 *  come in any case. */
class Constraint {
 public:
  /** Null where options ask for no grammar. Throws as LoadedModel::compile,
   *  and Unsupported for tools that the model has no way to call.
   *  prompt  that is answered; it may begin reasoning or a call */
  static std::unique_ptr<Constraint> make(
      const LoadedModel& model, const GenerationOptions& options,
      std::span<const std::int32_t> prompt = {});

  /** The option that asks for it. */
  const char* option() const { return option_; }

  /** Works out what comes next ahead of the calls below, which then wait for
   *  nothing. */
  void prepare();

  /** Sets logits, of the first tokens or of all, to -inf where a token may not
   *  come next. What ends the answer may come where the text is whole. */
  void forbid_others(std::span<float> logits);

  /** The next token where the text that follows is certain: the tokens that
   *  the tokenizer makes of it, but for the last, which may be one with what
   *  is not certain any more. None while force_ids hold, where an option
   *  forbids the token, or could by looking at the text.
   *  Source: Zheng et al., "SGLang", 2024, compressed finite state machines. */
  std::optional<std::int32_t> forced();
  /** It and those after it, at most n. */
  std::vector<std::int32_t> all_forced(std::size_t n);

  /** Takes a token of the text; false, and nothing changes, where it may not
   *  come next or ends the answer. */
  bool accept(std::int32_t id);
  /** Whether the text is whole and nothing may follow. */
  bool is_over();

 private:
  friend class Lookahead;

  /** Known tokens without a choice, the next one last. */
  struct Forced {
    std::vector<std::int32_t> ids = {};
    bool known = false;
  };

  Constraint(const char* option, const LoadedModel& model,
             const Grammar& grammar, const GenerationOptions& options);
  void find_mask();
  void find_forced();
  std::size_t count_forceable(const std::vector<std::int32_t>& ids);

  const char* option_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool has_marks_;  // special tokens are part of the text
  GrammarMatcher matcher_;
  std::set<std::int32_t> ends_;      // of the answer
  std::set<std::int32_t> not_ends_;  // the model's, under ignore_eos
  std::set<std::int32_t> banned_;    // by other options
  bool may_force_;
  std::size_t n_free_;  // tokens of the answer before any is forced
  std::size_t n_accepted_ = 0;
  std::int32_t vocab_size_;
  std::vector<std::uint32_t> mask_;  // as GrammarMatcher::fill_mask has it
  bool mask_known_ = false;
  bool over_ = false;  // by the mask
  Forced forced_;
};

/** Lets a constraint go on through guessed tokens; its end takes them back. */
class Lookahead {
 public:
  explicit Lookahead(Constraint& constraint);
  ~Lookahead();
  Lookahead(const Lookahead&) = delete;
  Lookahead& operator=(const Lookahead&) = delete;

 private:
  Constraint& constraint_;
  std::size_t n_before_;
  Constraint::Forced forced_before_;
};

}  // namespace skua
