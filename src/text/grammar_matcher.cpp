#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "skua/error.h"
#include "text/grammar.h"
#include "text/grammar_impl.h"

namespace skua {

struct GrammarMatcher::Impl {
  std::shared_ptr<const CompiledGrammar> grammar;
  xgrammar::GrammarMatcher matcher;
  std::vector<int> n_bytes = {};  // of each accepted token, without the end
  bool ended = false;

  const CompiledGrammar::Impl& shared() const { return grammar->impl(); }
  const TokenTrie& tokens() const { return shared().masks->tokens(); }
  std::size_t n_words() const {
    return (static_cast<std::size_t>(tokens().size()) + 31) / 32;
  }
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar) {
  xgrammar::GrammarMatcher matcher(grammar->impl().grammar);
  impl_ = std::unique_ptr<Impl>(
      new Impl{.grammar = std::move(grammar), .matcher = std::move(matcher)});
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
  shared.masks->fill(impl_->matcher, bits.first(impl_->n_words()));
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
  if (id < 0 || id >= impl_->tokens().size()) return false;
  const std::string_view bytes = impl_->tokens().bytes(id);
  if (bytes.empty()) return false;
  int n = 0;
  for (const char byte : bytes) {
    if (!impl_->matcher.PushByte(static_cast<std::uint8_t>(byte))) {
      impl_->matcher.PopBytes(n);
      return false;
    }
    ++n;
  }
  impl_->n_bytes.push_back(n);
  return true;
}

void GrammarMatcher::rollback(int tokens) {
  const int n_all =
      static_cast<int>(impl_->n_bytes.size()) + (impl_->ended ? 1 : 0);
  if (tokens < 0 || tokens > n_all)
    throw InvalidInput("grammar",
                       fmt::format("{} tokens to take back, expected at most "
                                   "{}",
                                   tokens, n_all));
  if (tokens == 0) return;
  if (impl_->ended) --tokens;
  impl_->ended = false;
  const auto first = impl_->n_bytes.end() - tokens;
  impl_->matcher.PopBytes(std::accumulate(first, impl_->n_bytes.end(), 0));
  impl_->n_bytes.erase(first, impl_->n_bytes.end());
}

bool GrammarMatcher::can_end() const {
  return !impl_->ended && impl_->matcher.IsCompleted();
}

bool GrammarMatcher::is_over() const {
  if (impl_->ended) return true;
  if (!can_end()) return false;
  std::vector<std::uint32_t> bits(impl_->n_words());
  impl_->shared().masks->fill(impl_->matcher, bits);
  return std::ranges::all_of(bits, [](auto word) { return word == 0; });
}

std::string GrammarMatcher::forced_text() {
  if (impl_->ended) return "";
  return impl_->matcher.FindJumpForwardString();
}

}  // namespace skua
