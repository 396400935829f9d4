#include "text/encoding.h"

#include <algorithm>

#include "skua/error.h"

namespace skua {
namespace {

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <typename T>
std::vector<T> part(const std::vector<T>& from, std::size_t begin,
                    std::size_t end) {
  return {from.begin() + static_cast<std::ptrdiff_t>(begin),
          from.begin() + static_cast<std::ptrdiff_t>(end)};
}

template <typename T>
void fill(std::vector<T>& list, std::size_t n, const T& value, Side side) {
  list.insert(side == Side::kLeft ? list.begin() : list.end(), n, value);
}

void pad_to(Encoding& encoding, std::size_t length, const Padding& padding) {
  for (Encoding& other : encoding.overflowing) pad_to(other, length, padding);
  if (encoding.size() >= length) return;
  const std::size_t n = length - encoding.size();
  fill(encoding.ids, n, padding.id, padding.side);
  fill(encoding.type_ids, n, padding.type_id, padding.side);
  fill(encoding.offsets, n, SourceSpan{}, padding.side);
  fill(encoding.tokens, n, padding.token, padding.side);
  fill(encoding.special_mask, n, std::uint8_t{1}, padding.side);
  fill(encoding.attention_mask, n, std::uint8_t{0}, padding.side);
}

// The parts of `n` tokens, the one to keep first.
std::vector<std::pair<std::size_t, std::size_t>> parts_of(
    std::size_t n, std::size_t max_length, std::size_t step, Side side) {
  std::vector<std::pair<std::size_t, std::size_t>> parts;
  for (std::size_t done = 0; done < n; done += step) {
    const std::size_t length = std::min(max_length, n - done);
    if (side == Side::kRight)
      parts.emplace_back(done, done + length);
    else
      parts.emplace_back(n - done - length, n - done);
    if (done + length == n) break;
  }
  return parts;
}

}  // namespace

void Encoding::push(std::int32_t id, std::int32_t type_id, SourceSpan offset,
                    std::string token, bool special) {
  ids.push_back(id);
  type_ids.push_back(type_id);
  offsets.push_back(offset);
  tokens.push_back(std::move(token));
  special_mask.push_back(special ? 1 : 0);
  attention_mask.push_back(1);
}

Encoding Encoding::slice(std::size_t begin, std::size_t end) const {
  return {part(ids, begin, end),
          part(type_ids, begin, end),
          part(offsets, begin, end),
          part(tokens, begin, end),
          part(special_mask, begin, end),
          part(attention_mask, begin, end),
          {}};
}

void merge(Encoding& encoding, const Encoding& next) {
  const auto with = [](Encoding first, const Encoding& second) {
    first.overflowing.clear();
    Encoding plain = second;
    plain.overflowing.clear();
    merge(first, plain);
    return first;
  };
  std::vector<Encoding> overflowing;
  for (const Encoding& mine : encoding.overflowing) {
    overflowing.push_back(with(mine, next));
    for (const Encoding& other : next.overflowing)
      overflowing.push_back(with(mine, other));
  }
  for (const Encoding& other : next.overflowing)
    overflowing.push_back(with(encoding, other));
  append(encoding.ids, next.ids);
  append(encoding.type_ids, next.type_ids);
  append(encoding.offsets, next.offsets);
  append(encoding.tokens, next.tokens);
  append(encoding.special_mask, next.special_mask);
  append(encoding.attention_mask, next.attention_mask);
  encoding.overflowing = std::move(overflowing);
}

void truncate(Encoding& encoding, std::size_t max_length, std::size_t stride,
              Side side) {
  const std::size_t n = encoding.size();
  if (max_length >= n) return;
  if (max_length == 0) {
    Encoding all = std::move(encoding);
    encoding = {};
    encoding.overflowing.push_back(std::move(all));
    return;
  }
  if (stride >= max_length)
    throw InvalidInput("tokenizer", "the stride of the truncation is " +
                                        std::to_string(stride) +
                                        ", expected less than " +
                                        std::to_string(max_length));
  const auto parts = parts_of(n, max_length, max_length - stride, side);
  Encoding kept = encoding.slice(parts[0].first, parts[0].second);
  for (std::size_t i = 1; i < parts.size(); ++i)
    kept.overflowing.push_back(encoding.slice(parts[i].first, parts[i].second));
  encoding = std::move(kept);
}

void truncate(Encoding& first, Encoding* second, const Truncation& truncation) {
  const auto cut = [&](Encoding& encoding, std::size_t length) {
    truncate(encoding, length, truncation.stride, truncation.side);
  };
  const std::size_t max = truncation.max_length;
  const std::size_t total = first.size() + (second ? second->size() : 0);
  if (total <= max) return;
  if (max == 0) {
    cut(first, 0);
    if (second) cut(*second, 0);
    return;
  }
  if (truncation.strategy != TruncationStrategy::kLongestFirst) {
    const bool cut_first =
        truncation.strategy == TruncationStrategy::kOnlyFirst;
    Encoding* target = cut_first ? &first : second;
    if (!target)
      throw InvalidInput("tokenizer",
                         "truncation of the second text, but there is one");
    if (target->size() <= total - max)
      throw InvalidInput(
          "tokenizer", "the text to cut has " + std::to_string(target->size()) +
                           " tokens, expected more than the " +
                           std::to_string(total - max) + " to cut off");
    cut(*target, target->size() - (total - max));
    return;
  }
  if (!second) {
    cut(first, max);
    return;
  }
  std::size_t shorter = std::min(first.size(), second->size());
  std::size_t longer =
      shorter > max ? shorter : std::max(shorter, max - shorter);
  if (shorter + longer > max) {
    shorter = max / 2;
    longer = shorter + max % 2;
  }
  const bool swapped = first.size() > second->size();
  cut(first, swapped ? longer : shorter);
  cut(*second, swapped ? shorter : longer);
}

void pad(std::vector<Encoding>& batch, const Padding& padding) {
  std::size_t length = padding.fixed;
  if (length == 0)
    for (const Encoding& encoding : batch)
      length = std::max(length, encoding.size());
  if (padding.multiple > 0 && length % padding.multiple > 0)
    length += padding.multiple - length % padding.multiple;
  for (Encoding& encoding : batch) pad_to(encoding, length, padding);
}

}  // namespace skua
