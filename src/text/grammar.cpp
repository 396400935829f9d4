#include "text/grammar.h"

#include <fmt/format.h>

#include <exception>
#include <iterator>
#include <list>
#include <mutex>

#include "skua/error.h"
#include "text/gbnf.h"
#include "text/grammar_impl.h"
#include "text/grammar_rules.h"
#include "text/json_schema.h"
#include "text/pattern.h"
#include "text/utf8.h"
#include "text/work_limit.h"

namespace skua {
namespace {

std::int32_t add_choices(GrammarRules& rules,
                         const std::vector<std::string>& choices) {
  std::vector<std::u32string> words;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto bad = find_invalid_utf8(choices[i]);
    if (bad != std::string::npos)
      throw InvalidInput(fmt::format("choice {}", i),
                         fmt::format("byte {} is not UTF-8", bad));
    words.push_back(to_utf32(choices[i]));
  }
  return add_dfa(rules, dfa_words(words), Spelling::kPlain);
}

// The grammar in the notation of xgrammar.
std::string to_ebnf(const Grammar& grammar, std::size_t max_work) {
  const WorkLimit limit(max_work);
  GrammarRules rules;
  std::int32_t root = -1;
  switch (grammar.kind) {
    case Grammar::Kind::kJsonSchema:
      root = add_json_schema(rules, parse_json(grammar.source, "schema"));
      break;
    case Grammar::Kind::kRegex:
      root = add_dfa(rules, compile_pattern(grammar.source, false, "regex"),
                     Spelling::kPlain);
      break;
    case Grammar::Kind::kEbnf:
      root = parse_gbnf(rules, grammar.source);
      break;
    case Grammar::Kind::kChoice:
      root = add_choices(rules, grammar.choices);
      break;
  }
  auto ebnf = rules.to_ebnf(root);
  if (ebnf.empty()) throw InvalidInput("grammar", "no text matches it");
  return ebnf;
}

void check_size(const Grammar& grammar, const GrammarLimits& limits) {
  std::size_t bytes = grammar.source.size();
  for (const auto& choice : grammar.choices) bytes += choice.size();
  if (bytes > limits.max_source_bytes)
    throw InvalidInput(
        "grammar", fmt::format("it has {} bytes, expected at most {}", bytes,
                               limits.max_source_bytes));
  if (grammar.choices.size() > limits.max_choices)
    throw InvalidInput("grammar",
                       fmt::format("it has {} choices, expected at most {}",
                                   grammar.choices.size(), limits.max_choices));
}

// Special tokens are left empty, which are never allowed.
std::shared_ptr<const TokenTrie> all_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> table(tokenizer.size());
  for (std::int32_t id = 0; id < tokenizer.size(); ++id)
    if (!tokenizer.is_special(id)) table[id] = tokenizer.token_bytes(id);
  return std::make_shared<const TokenTrie>(table);
}

// xgrammar is given bytes and knows of no tokens, but wants one.
xgrammar::TokenizerInfo no_vocabulary() {
  return xgrammar::TokenizerInfo({"a"}, xgrammar::VocabType::RAW, 1,
                                 std::vector<std::int32_t>{}, false);
}

}  // namespace

void check(const Grammar& grammar, const GrammarLimits& limits) {
  check_size(grammar, limits);
  to_ebnf(grammar, limits.max_work);
}

std::string Grammar::key() const {
  std::string key =
      fmt::format("{}:{}:{}", static_cast<int>(kind), source.size(), source);
  for (const auto& choice : choices)
    key += fmt::format("{}:{}", choice.size(), choice);
  return key;
}

CompiledGrammar::CompiledGrammar(std::unique_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}
CompiledGrammar::~CompiledGrammar() = default;

std::size_t CompiledGrammar::memory_bytes() const {
  return impl_->grammar.MemorySizeBytes() + impl_->masks->memory_bytes();
}

struct GrammarCompiler::Impl {
  using Entry = std::pair<std::string, std::shared_ptr<const CompiledGrammar>>;

  std::shared_ptr<const TokenTrie> tokens;
  xgrammar::TokenizerInfo vocabulary;
  std::set<std::int32_t> end_ids;
  std::int32_t logits_size;
  GrammarLimits limits;
  std::mutex mutex;
  std::list<Entry> cache;  // the last used first

  std::shared_ptr<const CompiledGrammar> find(const std::string& key) {
    const std::lock_guard lock(mutex);
    for (auto entry = cache.begin(); entry != cache.end(); ++entry) {
      if (entry->first != key) continue;
      cache.splice(cache.begin(), cache, entry);
      return entry->second;
    }
    return nullptr;
  }

  void keep(std::string key, std::shared_ptr<const CompiledGrammar> grammar) {
    const std::lock_guard lock(mutex);
    cache.emplace_front(std::move(key), std::move(grammar));
    std::size_t bytes = 0;
    for (auto entry = cache.begin(); entry != cache.end();) {
      bytes += entry->second->memory_bytes() + entry->first.size();
      const bool drop =
          bytes > limits.max_cache_bytes && entry != cache.begin();
      entry = drop ? cache.erase(entry) : std::next(entry);
    }
  }
};

GrammarCompiler::GrammarCompiler(const Tokenizer& tokenizer,
                                 std::set<std::int32_t> end_ids,
                                 std::int32_t logits_size,
                                 GrammarLimits limits) {
  if (logits_size < tokenizer.size())
    throw InvalidInput("grammar",
                       fmt::format("logits of {} tokens, expected at least {}",
                                   logits_size, tokenizer.size()));
  for (const auto id : end_ids)
    if (id < 0 || id >= logits_size)
      throw InvalidInput(
          "grammar",
          fmt::format("end id {}, expected one below {}", id, logits_size));
  impl_ = std::unique_ptr<Impl>(new Impl{all_tokens(tokenizer),
                                         no_vocabulary(),
                                         std::move(end_ids),
                                         logits_size,
                                         limits,
                                         {},
                                         {}});
}

GrammarCompiler::~GrammarCompiler() = default;

std::shared_ptr<const CompiledGrammar> GrammarCompiler::compile(
    const Grammar& grammar) {
  check_size(grammar, impl_->limits);
  auto key = grammar.key();
  if (auto found = impl_->find(key)) return found;
  const auto ebnf = to_ebnf(grammar, impl_->limits.max_work);
  try {
    xgrammar::GrammarCompiler compiler(impl_->vocabulary, 1, false);
    auto compiled = std::make_shared<const CompiledGrammar>(
        std::unique_ptr<const CompiledGrammar::Impl>(new CompiledGrammar::Impl{
            compiler.CompileGrammar(ebnf),
            std::make_unique<GrammarMasks>(impl_->tokens, impl_->limits),
            impl_->end_ids, impl_->logits_size}));
    impl_->keep(std::move(key), compiled);
    return compiled;
  } catch (const std::exception& error) {
    throw Unsupported("grammar", error.what());
  }
}

}  // namespace skua
