#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/char_set.h"
#include "text/dfa.h"

namespace skua {

/** One part of a rule: bytes, a character of a set, or another rule; min to
 *  max times (max -1: no bound). */
struct GrammarItem {
  enum class Kind { kText, kChars, kRule };
  Kind kind = Kind::kText;
  std::string text;
  CharSet chars;
  std::int32_t rule = -1;
  std::int32_t min = 1, max = 1;

  static GrammarItem literal(std::string text);
  static GrammarItem of(CharSet chars, std::int32_t min = 1,
                        std::int32_t max = 1);
  static GrammarItem ref(std::int32_t rule, std::int32_t min = 1,
                         std::int32_t max = 1);
};

using GrammarSequence = std::vector<GrammarItem>;

/** A context-free grammar while it is made: rules of alternatives. */
class GrammarRules {
 public:
  /** At most this many rules, and items in all of them. */
  static constexpr std::size_t kMaxRules = 50'000, kMaxItems = 500'000;

  /** A rule without alternatives, which matches nothing so far. Throws
   *  Unsupported where the grammar gets too large, as add does. */
  std::int32_t add_rule();
  void add(std::int32_t rule, GrammarSequence sequence);
  /** A rule for just this sequence. */
  std::int32_t rule_of(GrammarSequence sequence);

  /** Bounds the characters that one use of the rule takes. What it has begun
   *  by then, such as an escape, is taken to its end. Throws Unsupported for
   *  more than fit into 31 bits. */
  void set_max_chars(std::int32_t rule, std::int64_t n);

  std::size_t size() const { return rules_.size(); }
  /** A place to remember a shared rule by a name; -1 at first. */
  std::int32_t& named(const std::string& name) {
    return named_.try_emplace(name, -1).first->second;
  }

  /** The grammar of `root` in the EBNF of xgrammar, without the rules that
   *  match nothing; empty where `root` is one of them. */
  std::string to_ebnf(std::int32_t root) const;

 private:
  using Rule = std::vector<GrammarSequence>;
  std::vector<bool> productive() const;

  std::vector<Rule> rules_;
  std::map<std::int32_t, std::int64_t> max_chars_;
  std::size_t n_items_ = 0;
  std::map<std::string, std::int32_t> named_;
};

/** How the characters of an automaton are spelled in the grammar. */
enum class Spelling {
  kPlain,
  kJson  // as inside a JSON string: quotes, backslashes and controls escaped
};

/** A rule for the texts of `dfa`, then `end`. */
std::int32_t add_dfa(GrammarRules& rules, const Dfa& dfa, Spelling spelling,
                     const std::string& end = "");

}  // namespace skua
