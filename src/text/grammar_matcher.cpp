#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "skua/error.h"
#include "text/grammar.h"
#include "text/grammar_impl.h"

namespace skua {

struct GrammarMatcher::Impl {
  std::shared_ptr<const CompiledGrammar> grammar;
  xgrammar::GrammarMatcher matcher;
  std::vector<std::int32_t> words;  // a mask as xgrammar fills it
  int n_accepted = 0;               // tokens without the end
  bool ended = false;

  const CompiledGrammar::Impl& shared() const { return grammar->impl(); }

  void fill_words() {
    std::int64_t shape[] = {static_cast<std::int64_t>(words.size())};
    DLTensor tensor{words.data(), {kDLCPU, 0}, 1, {kDLInt, 32, 1},
                    shape,        nullptr,     0};
    matcher.FillNextTokenBitmask(&tensor);
  }
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar) {
  const auto& compiled = grammar->impl().grammar;
  const int n_tokens = compiled.GetTokenizerInfo().GetVocabSize();
  xgrammar::GrammarMatcher matcher(compiled);
  impl_ = std::unique_ptr<Impl>(
      new Impl{std::move(grammar), std::move(matcher),
               std::vector<std::int32_t>(xgrammar::GetBitmaskSize(n_tokens))});
}

GrammarMatcher::~GrammarMatcher() = default;
GrammarMatcher::GrammarMatcher(GrammarMatcher&&) noexcept = default;
GrammarMatcher& GrammarMatcher::operator=(GrammarMatcher&&) noexcept = default;

void GrammarMatcher::fill_mask(std::span<std::uint32_t> bits) {
  const auto& shared = impl_->shared();
  const auto n_words = static_cast<std::size_t>((shared.logits_size + 31) / 32);
  if (bits.size() != n_words)
    throw InvalidInput("mask", fmt::format("it has {} words, expected {}",
                                           bits.size(), n_words));
  std::fill(bits.begin(), bits.end(), 0);
  if (impl_->ended) return;
  impl_->fill_words();
  std::transform(impl_->words.begin(), impl_->words.end(), bits.begin(),
                 [](std::int32_t w) { return static_cast<std::uint32_t>(w); });
  const auto n_tokens = static_cast<std::size_t>(
      shared.grammar.GetTokenizerInfo().GetVocabSize());
  if (n_tokens % 32 != 0)
    bits[n_tokens / 32] &= (std::uint32_t{1} << (n_tokens % 32)) - 1;
  const bool end = can_end();
  for (const auto id : shared.end_ids) {
    const auto bit = std::uint32_t{1} << (id % 32);
    if (end) {
      bits[id / 32] |= bit;
    } else {
      bits[id / 32] &= ~bit;
    }
  }
}

bool GrammarMatcher::accept(std::int32_t id) {
  const auto& shared = impl_->shared();
  if (impl_->ended) return false;
  if (shared.end_ids.count(id) > 0) {
    impl_->ended = can_end();
    return impl_->ended;
  }
  const auto& vocabulary = shared.grammar.GetTokenizerInfo();
  if (id < 0 || id >= vocabulary.GetVocabSize()) return false;
  if (vocabulary.GetDecodedVocab()[id].empty()) return false;
  if (!impl_->matcher.AcceptToken(id)) return false;
  ++impl_->n_accepted;
  return true;
}

void GrammarMatcher::rollback(int tokens) {
  const int n_all = impl_->n_accepted + (impl_->ended ? 1 : 0);
  if (tokens < 0 || tokens > n_all)
    throw InvalidInput("grammar",
                       fmt::format("{} tokens to take back, expected at most "
                                   "{}",
                                   tokens, n_all));
  if (tokens == 0) return;
  if (impl_->ended) --tokens;
  impl_->ended = false;
  if (tokens > 0) impl_->matcher.Rollback(tokens);
  impl_->n_accepted -= tokens;
}

bool GrammarMatcher::can_end() const {
  return !impl_->ended && impl_->matcher.IsCompleted();
}

bool GrammarMatcher::is_over() const {
  if (impl_->ended) return true;
  if (!can_end()) return false;
  impl_->fill_words();
  return std::all_of(impl_->words.begin(), impl_->words.end(),
                     [](std::int32_t word) { return word == 0; });
}

std::string GrammarMatcher::forced_text() {
  if (impl_->ended) return "";
  return impl_->matcher.FindJumpForwardString();
}

}  // namespace skua
