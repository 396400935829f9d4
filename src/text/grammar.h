#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace skua {

/** What an answer must look like. */
struct Grammar {
  enum class Kind {
    kJsonSchema,  // JSON text valid under `source`; `true` allows any JSON
    kRegex,       // the whole answer matches `source` (pattern.h)
    kEbnf,        // `source` in GBNF (gbnf.h)
    kChoice,      // one of `choices`
    kToolCalls    // as tool_call_grammar makes it (tool_grammar.h)
  };
  Kind kind = Kind::kJsonSchema;
  std::string source;
  std::vector<std::string> choices;

  bool operator==(const Grammar&) const = default;
  /** Equal for equal grammars alone. */
  std::string key() const;
};

struct GrammarLimits {
  std::size_t max_source_bytes = 1 << 20;
  std::size_t max_choices = 10'000;
  /** Steps of some 100 ns to turn a source into rules. */
  std::size_t max_work = 20'000'000;
  /** Compiled grammars a compiler keeps, the masks of reached states
   *  included; the last one is kept in any case. */
  std::size_t max_cache_bytes = std::size_t{256} << 20;
  /** Masks that a compiled grammar keeps, 16 KB each for 128k tokens, and
   *  states of the automaton that finds them, 1 KB each; both at least one. */
  std::size_t max_masks = 1024, max_states = 4096;
};

/** Throws what compiling the grammar would throw for its text; what is only
 *  too large for xgrammar is seen then. */
void check(const Grammar& grammar, const GrammarLimits& limits = {});

/** A grammar for one vocabulary, shared by any number of matchers and
 *  threads. A mask is computed where a matcher first needs it, and kept. */
class CompiledGrammar {
 public:
  struct Impl;
  explicit CompiledGrammar(std::unique_ptr<const Impl> impl);
  ~CompiledGrammar();
  const Impl& impl() const { return *impl_; }
  std::size_t memory_bytes() const;

 private:
  std::unique_ptr<const Impl> impl_;
};

/** Compiles grammars for one vocabulary; usable from several threads. */
class GrammarCompiler {
 public:
  /** end_ids      ids that end an answer
   *  logits_size  width of the model's logits, at least tokenizer.size()
   *  Throws InvalidInput where that does not hold. */
  GrammarCompiler(const Tokenizer& tokenizer, std::set<std::int32_t> end_ids,
                  std::int32_t logits_size, GrammarLimits limits = {});
  ~GrammarCompiler();

  /** Throws InvalidInput (a mistake, with its place; nothing matches) and
   *  Unsupported (a keyword that cannot be enforced, with its JSON pointer;
   *  a grammar that is too large). The first tool calls of a format take as
   *  long as a compiler does to make: special tokens are among theirs. */
  std::shared_ptr<const CompiledGrammar> compile(const Grammar& grammar);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/** Follows one answer through a grammar, token by token. */
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar);
  ~GrammarMatcher();
  GrammarMatcher(GrammarMatcher&&) noexcept;
  GrammarMatcher& operator=(GrammarMatcher&&) noexcept;

  /** Sets bit i % 32 of bits[i / 32] where token i may come next, clears the
   *  others. bits: [(logits_size + 31) / 32]; throws InvalidInput for another
   *  size. End ids are set where the answer may end; behind one nothing is. */
  void fill_mask(std::span<std::uint32_t> bits);
  /** Takes a token; false, and nothing changes, where it is not allowed. */
  bool accept(std::int32_t id);
  /** Undoes the last `tokens` accepted ones, an end among them. Throws
   *  InvalidInput where there are fewer. */
  void rollback(int tokens);

  /** Whether what was accepted is a whole answer. */
  bool can_end() const;
  /** Whether nothing but an end may follow, or has followed. */
  bool is_over() const;
  /** The bytes that must come next in any case; may be empty. */
  std::string forced_text();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skua
