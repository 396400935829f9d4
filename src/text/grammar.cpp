#include "text/grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <list>
#include <map>
#include <mutex>

#include "skua/error.h"
#include "text/gbnf.h"
#include "text/grammar_impl.h"
#include "text/grammar_rules.h"
#include "text/json_schema.h"
#include "text/pattern.h"
#include "text/tool_forms.h"
#include "text/tool_grammar.h"
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
    case Grammar::Kind::kToolCalls:
      root = add_tool_calls(rules, parse_json(grammar.source, "tool calls"));
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

using SpecialTexts = std::vector<std::pair<std::int32_t, std::string>>;

// Special tokens are left empty, which are never allowed.
std::shared_ptr<const TokenTrie> all_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> table(tokenizer.size());
  for (std::int32_t id = 0; id < tokenizer.size(); ++id)
    if (!tokenizer.is_special(id)) table[id] = tokenizer.token_bytes(id);
  return std::make_shared<const TokenTrie>(table);
}

SpecialTexts special_texts(const Tokenizer& tokenizer,
                           const std::set<std::int32_t>& end_ids) {
  SpecialTexts texts;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id)
    if (tokenizer.is_special(id) && end_ids.count(id) == 0)
      texts.emplace_back(id, tokenizer.piece(id));
  return texts;
}

// The tokens, and those special ones that are part of a mark.
std::shared_ptr<const TokenTrie> with_marks(
    const TokenTrie& tokens, const SpecialTexts& special,
    const std::vector<std::string>& marks) {
  std::vector<std::string> table(tokens.size());
  for (std::int32_t id = 0; id < tokens.size(); ++id)
    table[id] = tokens.bytes(id);
  for (const auto& [id, text] : special)
    if (std::ranges::any_of(marks, [&](const std::string& mark) {
          return mark.find(text) != mark.npos;
        }))
      table[id] = text;
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
  SpecialTexts special;
  xgrammar::TokenizerInfo vocabulary;
  std::set<std::int32_t> end_ids;
  std::int32_t logits_size;
  GrammarLimits limits;
  std::mutex mutex{};
  std::list<Entry> cache = {};  // the last used first
  std::map<std::string_view, std::shared_ptr<const TokenTrie>> format_tokens =
      {};

  // Models write the marks of their calls as special tokens.
  std::shared_ptr<const TokenTrie> tokens_for(const Grammar& grammar) {
    if (grammar.kind != Grammar::Kind::kToolCalls) return tokens;
    const auto& format =
        tool_call_format(parse_json(grammar.source, "tool calls"));
    const std::lock_guard lock(mutex);
    auto& found = format_tokens[format.name];
    if (!found) found = with_marks(*tokens, special, call_marks(format));
    return found;
  }

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
  auto special = special_texts(tokenizer, end_ids);
  impl_ = std::unique_ptr<Impl>(new Impl{.tokens = all_tokens(tokenizer),
                                         .special = std::move(special),
                                         .vocabulary = no_vocabulary(),
                                         .end_ids = std::move(end_ids),
                                         .logits_size = logits_size,
                                         .limits = limits});
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
            std::make_unique<GrammarMasks>(impl_->tokens_for(grammar),
                                           impl_->limits),
            impl_->end_ids, impl_->logits_size}));
    impl_->keep(std::move(key), compiled);
    return compiled;
  } catch (const std::exception& error) {
    throw Unsupported("grammar", error.what());
  }
}

}  // namespace skua
