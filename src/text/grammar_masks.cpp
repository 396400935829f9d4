#include "text/grammar_masks.h"

#include <algorithm>
#include <limits>

namespace skua {
namespace {

constexpr std::int32_t kAnyLength = std::numeric_limits<std::int32_t>::max();
// Where a byte leads, beside the states from 0 on.
constexpr std::int32_t kUnknown = -1, kNowhere = -2, kNotKept = -3;

void set(std::span<std::uint32_t> bits, std::span<const std::int32_t> ids) {
  for (const auto id : ids) bits[id / 32] |= std::uint32_t{1} << (id % 32);
}

}  // namespace

/** One walk from the state of a matcher. */
class GrammarMasks::Walk {
 public:
  Walk(GrammarMasks& masks, xgrammar::GrammarMatcher& matcher)
      : masks_(masks), matcher_(matcher) {
    if (masks_.steps_.size() > masks_.limits_.max_states / 2) {
      masks_.steps_.clear();
      masks_.state_of_.clear();
    }
    const auto longest = static_cast<std::size_t>(masks.tokens_->most_bytes());
    states_.resize(longest + 1);
    bytes_.resize(longest + 1);
  }
  ~Walk() { matcher_.PopBytes(static_cast<int>(n_pushed_)); }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  /** Sets the bits of allowed tokens, those of at most n_known characters left
   *  out as far as that saves time. */
  void run(std::int32_t n_known, std::span<std::uint32_t> bits) {
    const auto& tokens = *masks_.tokens_;
    const auto& nodes = tokens.nodes();
    states_[0] = state_here(0);
    for (std::size_t i = 1; i < nodes.size();) {
      const auto& node = nodes[i];
      if (node.most_chars <= n_known) {
        i = node.end;
        continue;
      }
      bytes_[node.depth - 1] = node.byte;
      const std::int32_t next = step(node.depth - 1, node.byte);
      if (next == kNowhere) {
        i = node.end;
        continue;
      }
      states_[node.depth] = next;
      set(bits, tokens.tokens_of(i));
      ++i;
    }
  }

 private:
  // The state of the automaton for that of the matcher, `depth` bytes from the
  // begin. Where no token that goes on from there can reach the end of a bound,
  // the bound does not matter.
  std::int32_t state_here(std::size_t depth) {
    const std::int32_t longest = masks_.tokens_->most_bytes();
    const auto key = matcher_.GetStateKey();
    const bool far = key.remaining > longest - static_cast<std::int32_t>(depth);
    const auto& digest = far ? key.unbounded : key.exact;
    if (const auto found = masks_.state_of_.find(digest);
        found != masks_.state_of_.end())
      return found->second;
    if (masks_.steps_.size() >= masks_.limits_.max_states) return kNotKept;
    const auto state = static_cast<std::int32_t>(masks_.steps_.size());
    masks_.steps_.emplace_back().fill(kUnknown);
    masks_.state_of_.emplace(digest, state);
    return state;
  }

  std::int32_t step(std::size_t depth, std::uint8_t byte) {
    const std::int32_t from = states_[depth];
    if (from == kNotKept) return parse(depth, byte);
    const std::int32_t known = masks_.steps_[from][byte];
    if (known != kUnknown) return known;
    const std::int32_t next = parse(depth, byte);
    if (next != kNotKept) masks_.steps_[from][byte] = next;
    return next;
  }

  // Asks the parser, which is first brought to the bytes of the way here.
  std::int32_t parse(std::size_t depth, std::uint8_t byte) {
    std::size_t n_common = 0;
    while (n_common < std::min(depth, n_pushed_) &&
           pushed_[n_common] == bytes_[n_common])
      ++n_common;
    pop_to(n_common);
    while (n_pushed_ < depth) push(bytes_[n_pushed_]);
    if (!push(byte)) return kNowhere;
    return state_here(n_pushed_);
  }

  bool push(std::uint8_t byte) {
    if (!matcher_.PushByte(byte)) return false;
    pushed_.resize(n_pushed_);
    pushed_.push_back(byte);
    ++n_pushed_;
    return true;
  }

  void pop_to(std::size_t n) {
    matcher_.PopBytes(static_cast<int>(n_pushed_ - n));
    n_pushed_ = n;
  }

  GrammarMasks& masks_;
  xgrammar::GrammarMatcher& matcher_;
  std::vector<std::int32_t> states_;  // behind each byte of the way
  std::vector<std::uint8_t> bytes_, pushed_;
  std::size_t n_pushed_ = 0;
};

const GrammarMasks::Mask* GrammarMasks::find(const Digest& key) {
  const auto found = mask_of_.find(key);
  if (found == mask_of_.end()) return nullptr;
  masks_.splice(masks_.begin(), masks_, found->second);
  return &*found->second;
}

void GrammarMasks::keep(const Digest& key, std::int32_t n_chars,
                        std::span<const std::uint32_t> bits) {
  auto found = mask_of_.find(key);
  if (found == mask_of_.end()) {
    if (!masks_.empty() && masks_.size() >= limits_.max_masks) {
      mask_of_.erase(masks_.back().key);
      masks_.pop_back();
    }
    masks_.push_front({.key = key, .n_chars = 0, .bits = {}});
    found = mask_of_.emplace(key, masks_.begin()).first;
  }
  found->second->n_chars = n_chars;
  found->second->bits.assign(bits.begin(), bits.end());
}

void GrammarMasks::fill(xgrammar::GrammarMatcher& matcher,
                        std::span<std::uint32_t> bits) {
  const auto key = matcher.GetStateKey();
  const bool far = key.remaining > tokens_->most_bytes();
  const std::int32_t n_chars = far ? kAnyLength : key.remaining;
  const std::lock_guard lock(mutex_);
  if (!far) {
    if (const Mask* mask = find(key.exact)) {
      std::ranges::copy(mask->bits, bits.begin());
      return;
    }
  }
  // Tokens that end before any bound do so with and without it.
  std::int32_t n_known = -1;
  std::ranges::fill(bits, 0);
  const Mask* similar = find(key.unbounded);
  if (similar) {
    std::ranges::copy(similar->bits, bits.begin());
    if (similar->n_chars == kAnyLength && far) return;
    n_known = std::max(
        -1, std::min({n_chars, similar->n_chars, TokenTrie::kManyChars - 1}));
    tokens_->clear_longer(n_known, bits);
  }
  const std::int32_t n_similar = similar ? similar->n_chars : -1;
  Walk(*this, matcher).run(n_known, bits);
  if (!far) keep(key.exact, kAnyLength, bits);
  if (n_chars > n_similar) keep(key.unbounded, n_chars, bits);
}

std::size_t GrammarMasks::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  const std::size_t mask_bytes =
      (static_cast<std::size_t>(tokens_->size()) + 31) / 32 * 4;
  return masks_.size() * (mask_bytes + sizeof(Mask) + 64) +
         steps_.size() * (sizeof(steps_[0]) + 64);
}

}  // namespace skua
