// A state of xgrammar's Earley parser as a digest. The states of a row name
// earlier rows, where the rules they are in began; the digest has the digests
// of those rows in place of their positions (a Merkle tree), so that it is the
// same wherever the same may follow. Rows before the last never change.
#include "state_key.h"

#include <algorithm>

#include "earley_parser.h"

namespace xgrammar {
namespace {

std::uint64_t rotate(std::uint64_t x, int n) {
  return x << n | x >> (64 - n);
}

// MurmurHash3_x64_128 of whole blocks. Source: Austin Appleby's smhasher.
class Hasher {
 public:
  void add(std::uint64_t a, std::uint64_t b) {
    h_[0] ^= rotate(a * kFirst, 31) * kSecond;
    h_[0] = (rotate(h_[0], 27) + h_[1]) * 5 + 0x52dce729;
    h_[1] ^= rotate(b * kSecond, 33) * kFirst;
    h_[1] = (rotate(h_[1], 31) + h_[0]) * 5 + 0x38495ab5;
    n_bytes_ += 16;
  }
  void add(const StateKey::Digest& digest) { add(digest[0], digest[1]); }
  void add(std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
    add(join(a, b), join(c, d));
  }

  StateKey::Digest digest() const {
    std::uint64_t a = h_[0] ^ n_bytes_, b = h_[1] ^ n_bytes_;
    a += b;
    b += a;
    a = mix(a);
    b = mix(b);
    a += b;
    b += a;
    return {a, b};
  }

 private:
  static constexpr std::uint64_t kFirst = 0x87c37b91114253d5,
                                 kSecond = 0x4cf5ad432745937f;
  static std::uint64_t join(std::int32_t a, std::int32_t b) {
    return std::uint64_t{static_cast<std::uint32_t>(a)} << 32 |
           static_cast<std::uint32_t>(b);
  }
  static std::uint64_t mix(std::uint64_t k) {
    k = (k ^ k >> 33) * 0xff51afd7ed558ccd;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53;
    return k ^ k >> 33;
  }

  std::uint64_t h_[2] = {0, 0}, n_bytes_ = 0;
};

}  // namespace

// Adds a state of row `row` to the digest of the row, whose position stands for
// itself.
template <typename Hashers>
void EarleyParser::AddToKey(const ParserState& state, std::int32_t row,
                            Hashers& hashers) const {
  constexpr StateKey::Digest kOutermost = {1, 0}, kThisRow = {2, 0};
  const std::int32_t start = state.rule_start_pos;
  const bool has_row = start >= 0 && start < row;
  const auto& marker = start < 0 ? kOutermost : kThisRow;
  for (auto& hasher : {&hashers.exact, &hashers.unbounded}) {
    hasher->add(state.rule_id, state.sequence_id, state.element_id,
                state.repeat_count);
    hasher->add(state.sub_element_id, state.partial_codepoint,
                state.budget_deadline, state.active_temperature_rule_id);
  }
  hashers.exact.add(has_row ? row_keys_[start].exact : marker);
  hashers.unbounded.add(has_row ? row_keys_[start].unbounded : marker);
  if (state.char_budget_deadline < 0) return;
  const std::int32_t now = char_count_history_[row];
  const std::int32_t begin = start < 0 ? 0 : char_count_history_[start];
  hashers.exact.add(state.char_budget_deadline - now, now - begin, 0, 0);
}

StateKey EarleyParser::GetStateKey() {
  struct Hashers {
    Hasher exact, unbounded;
  };
  const auto add_parents = [&](std::int32_t row, Hashers& hashers) {
    for (const auto& [rule, parent] : rule_id_to_completable_states_[row]) {
      hashers.exact.add(rule, 0);
      hashers.unbounded.add(rule, 0);
      AddToKey(parent, row, hashers);
    }
  };
  const std::int32_t last = scanable_state_history_.size() - 1;
  for (auto row = static_cast<std::int32_t>(row_keys_.size()); row < last;
       ++row) {
    Hashers hashers;
    add_parents(row, hashers);
    row_keys_.push_back({hashers.exact.digest(), hashers.unbounded.digest()});
  }
  StateKey key;
  Hashers hashers;
  for (const auto& state : scanable_state_history_[last]) {
    AddToKey(state, last, hashers);
    if (state.char_budget_deadline >= 0)
      key.remaining = std::min(key.remaining, state.char_budget_deadline -
                                                  char_count_history_[last]);
  }
  hashers.exact.add(~std::uint64_t{0}, is_completed_.back());
  hashers.unbounded.add(~std::uint64_t{0}, is_completed_.back());
  add_parents(last, hashers);
  key.exact = hashers.exact.digest();
  key.unbounded = hashers.unbounded.digest();
  return key;
}

}  // namespace xgrammar
