#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "tests/sanitized.h"
#include "tests/support.h"
#include "tests/unit/text/grammar_support.h"

namespace skua::test {
namespace {

constexpr int kWalks = scaled(12, 4), kMaxSteps = 60;
// Of real tokens each mask takes long to compare.
constexpr int kMaxRealSteps = scaled(kMaxSteps, 4);

// Tokens over the ends of strings, items and names, and such of many
// characters.
const std::vector<std::string> kTokens = {
    "\"a",  "a\"", "\",\"",   "\":",   "\":\"", "},",         "]}",
    "[[",   "]]",  "[\"",     "\"]",   "{\"a",  "true",       "tru",
    "null", "12",  "1,2,",    "-1",    "1.5e3", "\\u00",      "\\\\",
    "aa",   "aaa", "aaaaaaa", "ababa", "bbbb",  "aaaaaaaaaa", "aaaaaaaaaaaaaa",
    "()",   "((",  "))",      "x+x",   ",1",    ",1,1,1,1",   "ab\",\"a"};

std::vector<Grammar> grammars_to_walk() {
  return {
      schema("true"),
      schema(R"({"type":"object","properties":{"a":{"type":"string"},
        "aa":{"type":"array","items":{"enum":["a","aaa",1,null]}},
        "b":{"type":"object"}},"required":["aa"]})"),
      // Bounds of characters: near, far from the longest token, in a row of
      // strings, and two of them at once.
      schema(R"({"type":"string","maxLength":9})"),
      schema(R"({"type":"string","minLength":3,"maxLength":40})"),
      schema(R"({"type":"array","items":{"type":"string","maxLength":5}})"),
      schema(R"({"anyOf":[{"type":"string","maxLength":4},
        {"type":"array","items":{"type":"string","maxLength":17}}]})"),
      schema(R"({"type":"string","pattern":"^(ab?)*$","maxLength":12})"),
      // Counts of items: near their bounds and far.
      schema(R"({"type":"array","items":{"type":"integer"},"minItems":2,
        "maxItems":4})"),
      schema(R"({"type":"array","items":{"enum":[1,12]},"minItems":30,
        "maxItems":100})"),
      regex("(a|ab|b){2,70}c"),
      regex("[^\\n]*"),
      regex("\\p{Lu}{1,3}[\\u00e4-\\u00ff]*"),
      ebnf("root ::= line+\nline ::= \"-\" [^\\n]+ \"\\n\"\n"),
      ebnf("root ::= root \"+x\" | \"x\" | \"(\" root \")\"\n"),
      ebnf("root ::= \"(\" root \")\" root | \"\"\n"),
      ebnf("root ::= (\"a\"? \"b\"?){2,40} \"aa\"\n"),
      // A count that the parser keeps, which it does above 128.
      ebnf("root ::= (\"ab\" | \"a\"){160,220} \"c\"\n"),
      ebnf("root ::= (\"a\"? \"b\"?){160,200} \"12\"\n"),
      choice({"a", "aaaaaaa", "aab", "bbbb", "ababa", "12"}),
  };
}

bool has(const std::vector<std::uint32_t>& bits, std::int32_t id) {
  return bits[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1;
}

// Walks through a grammar at random, back too, and compares each mask with
// what the matcher accepts.
class Walker {
 public:
  Walker(const std::shared_ptr<const Tokenizer>& tokenizer,
         std::shared_ptr<const CompiledGrammar> grammar, unsigned seed)
      : tokenizer_(tokenizer),
        grammar_(std::move(grammar)),
        random_(seed),
        matcher_(grammar_) {}

  // The number of masks compared; stops at the first wrong one. Begins with
  // some 'a', where they may come, so that counts get high.
  int walk(int max_steps = kMaxSteps) {
    for (auto n = random_() % 250; n > 0 && matcher_.accept('a'); --n)
      ++n_accepted_;
    for (int i = 0; i < max_steps; ++i) {
      std::vector<std::uint32_t> bits((tokenizer_->size() + 31) / 32);
      matcher_.fill_mask(bits);
      if (!is_right(bits)) return i;
      // Long tokens come first where there are any: they are rarer.
      std::vector<std::int32_t> allowed;
      for (std::int32_t id = 0; id < tokenizer_->size(); ++id)
        if (has(bits, id)) allowed.push_back(id);
      if (allowed.empty()) return i;
      std::int32_t chosen = allowed[random_() % allowed.size()];
      if (random_() % 2) {
        const auto other =
            allowed[allowed.size() - 1 -
                    random_() % std::min<std::size_t>(allowed.size(), 40)];
        chosen = std::max(chosen, other);
      }
      EXPECT_TRUE(matcher_.accept(chosen));
      ++n_accepted_;
      if (random_() % 5 == 0) {
        const int n = 1 + static_cast<int>(random_() % 3);
        matcher_.rollback(std::min(n, n_accepted_));
        n_accepted_ -= std::min(n, n_accepted_);
      }
    }
    return max_steps;
  }

 private:
  bool is_right(const std::vector<std::uint32_t>& bits) {
    for (std::int32_t id = 0; id < tokenizer_->size(); ++id) {
      const bool taken = matcher_.accept(id);
      if (taken) matcher_.rollback(1);
      if (taken == has(bits, id)) continue;
      ADD_FAILURE() << "token " << id << " '" << tokenizer_->token_bytes(id)
                    << "' is " << (taken ? "allowed" : "not allowed");
      return false;
    }
    return true;
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const CompiledGrammar> grammar_;
  std::mt19937 random_;
  GrammarMatcher matcher_;
  int n_accepted_ = 0;
};

void compare_masks(GrammarLimits limits) {
  ByteGrammars grammars(kTokens, limits);
  int n = 0;
  for (const Grammar& grammar : grammars_to_walk()) {
    SCOPED_TRACE(grammar.source);
    const auto compiled = grammars.compiler.compile(grammar);
    for (unsigned seed = 0; seed < kWalks && !::testing::Test::HasFailure();
         ++seed)
      n += Walker(grammars.tokenizer, compiled, seed).walk();
  }
  std::cout << n << " masks compared\n";
  EXPECT_GT(n, scaled(2000, 4));
}

TEST(GrammarMasks, AreWhatTheMatcherAccepts) {
  compare_masks({});
}

TEST(GrammarMasks, AreTheSameWhereFewAreKept) {
  compare_masks({.max_masks = 2, .max_states = 3});
}

// Real tokens: many that begin or end inside a character.
TEST(GrammarMasks, AreWhatTheMatcherAcceptsOfRealTokens) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers/phi-3-mini");
  const auto tokenizer = load_tokenizer(folder);
  GrammarCompiler compiler(*tokenizer, tokenizer->special().eos_ids,
                           tokenizer->size());
  int n = 0;
  for (const auto& grammar : {schema(R"({"type":"object","properties":{
          "name":{"type":"string","maxLength":20},"age":{"type":"integer"}}})"),
                              regex("([^x\\n]+\\n){2,5}")}) {
    SCOPED_TRACE(grammar.source);
    n += Walker(tokenizer, compiler.compile(grammar), 1).walk(kMaxRealSteps);
  }
  std::cout << "tokenizers/phi-3-mini: " << n << " masks compared\n";
  EXPECT_GT(n, scaled(20, 4));
}

}  // namespace
}  // namespace skua::test
