#include "generate/repetition.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "generate/processors.h"

namespace skua {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kHighest = std::numeric_limits<float>::max();

}  // namespace

float finite(double x) {
  if (x == -kInfinity) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(std::clamp(x, -kHighest, kHighest));
}

void TokenTable::clear(std::size_t vocab_size) {
  for (const std::int32_t id : tokens_)
    numbers_[static_cast<std::size_t>(id)] = 0;
  tokens_.clear();
  if (numbers_.size() < vocab_size) numbers_.resize(vocab_size);
}

std::span<const int> suffix_matches(std::span<const std::int32_t> tokens) {
  thread_local std::vector<int> matches;
  const auto n = static_cast<int>(tokens.size());
  matches.resize(tokens.size());
  const auto at = [&](int i) { return tokens[static_cast<std::size_t>(i)]; };
  const auto match = [&](int i) -> int& {
    return matches[static_cast<std::size_t>(i)];
  };
  if (n != 0) match(n - 1) = n;
  // The match that reaches furthest back: it ends at `end`, its first token
  // is the one after `begin`.
  int begin = n - 1, end = n - 1;
  for (int i = n - 2; i >= 0; --i) {
    int length = 0;
    if (i > begin) length = std::min(i - begin, match(n - 1 - (end - i)));
    while (length <= i && at(i - length) == at(n - 1 - length)) ++length;
    match(i) = length;
    if (i - length < begin) {
      begin = i - length;
      end = i;
    }
  }
  return matches;
}

bool Breakers::contains(std::int32_t id,
                        const std::vector<std::string>& breakers,
                        const TokenRoles& roles) {
  if (!roles.text || breakers.empty()) return false;
  const auto i = static_cast<std::size_t>(id);
  if (i >= known_.size())
    known_.resize(std::max(i + 1, static_cast<std::size_t>(roles.vocab_size)));
  if (known_[i] == Known::kNot) {
    const std::string text = roles.text(id);
    const bool yes =
        std::ranges::any_of(breakers, [&](const std::string& breaker) {
          return text.find(breaker) != std::string::npos;
        });
    known_[i] = yes ? Known::kYes : Known::kNo;
  }
  return known_[i] == Known::kYes;
}

void forbid_repeated_ngrams(std::span<const std::int32_t> history, int n,
                            std::span<float> logits) {
  const auto matches = suffix_matches(history);
  for (std::size_t i = 0; i < history.size(); ++i) {
    const int before = i == 0 ? 0 : matches[i - 1];
    const auto next = static_cast<std::size_t>(history[i]);
    if (before >= n - 1 && next < logits.size())
      logits[next] = -std::numeric_limits<float>::infinity();
  }
}

void penalize_repetitions(std::span<const std::int32_t> history,
                          const GenerationOptions& options,
                          const TokenRoles& roles, Breakers& breakers,
                          std::span<float> logits) {
  const auto breaks = [&](std::int32_t id) {
    return id < 0 || static_cast<std::size_t>(id) >= logits.size() ||
           breakers.contains(id, options.dry_breakers, roles);
  };
  int longest = 0;
  for (auto it = history.rbegin(); it != history.rend() && !breaks(*it); ++it)
    ++longest;
  if (longest == 0) return;

  thread_local TokenTable lengths;
  lengths.clear(logits.size());
  const auto matches = suffix_matches(history);
  for (std::size_t i = 0; i + 1 < history.size(); ++i) {
    if (matches[i] == 0 || breaks(history[i + 1])) continue;
    int& length = lengths[history[i + 1]];
    length = std::max(length, std::min(matches[i], longest));
  }
  for (const std::int32_t id : lengths.tokens()) {
    const int excess = lengths[id] - options.dry_allowed_length;
    if (excess < 0) continue;
    float& logit = logits[static_cast<std::size_t>(id)];
    const double penalty =
        options.dry_multiplier * std::pow(options.dry_base, excess);
    logit = finite(logit - std::min(penalty, kHighest));
  }
}

}  // namespace skua
