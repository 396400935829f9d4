#include "kernels/kv_cache.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr int kPage = static_cast<int>(cpu::kPage);
constexpr int kMostPositions = 1 << 30;

// How arrays store numbers: those of int8 and int4 rounded, as float32.
mx::Dtype array_type(KvType type) {
  if (type == KvType::kBf16) return mx::bfloat16;
  return type == KvType::kF16 ? mx::float16 : mx::float32;
}

mx::array empty_rows(const cpu::KvShape& shape, std::size_t dim, int n) {
  return mx::zeros(
      {static_cast<int>(shape.n_kv_heads), n, static_cast<int>(dim)},
      array_type(shape.type));
}

mx::array some_rows(const mx::array& x, int from, int to) {
  return mx::slice(x, {0, from, 0}, {x.shape(0), to, x.shape(2)});
}

int pages_for(int n) {
  return n / kPage + (n % kPage != 0 ? 1 : 0);
}

}  // namespace

cpu::KvShape KvCache::State::shape_of(std::size_t page) const {
  cpu::KvShape result = shape;
  if (static_cast<int>(page) * kPage >= quantize_from)
    result.type = quantized_type;
  return result;
}

KvCache::Layout KvCache::default_layout() {
  return runs_on_cpu() ? Layout::kPages : Layout::kArrays;
}

KvCache::KvCache(KvType type, int n_kv_heads, int key_dim, int value_dim,
                 Layout layout, int quantize_from, KvType quantized_type)
    : state_(std::make_shared<State>()) {
  if (n_kv_heads < 1 || key_dim < 1 || value_dim < 1) {
    throw InvalidInput(
        "cache", "heads and their sizes are " + std::to_string(n_kv_heads) +
                     ", " + std::to_string(key_dim) + " and " +
                     std::to_string(value_dim) + ", expected positive");
  }
  if (!cpu::is_quantized(quantized_type))
    throw InvalidInput("cache", "type to quantize to is neither int8 nor int4");
  state_->shape = {type, static_cast<std::size_t>(n_kv_heads),
                   static_cast<std::size_t>(key_dim),
                   static_cast<std::size_t>(value_dim)};
  state_->layout = layout;
  state_->quantized_type = quantized_type;
  if (quantize_from < kNever)
    state_->quantize_from = pages_for(std::max(quantize_from, 0)) * kPage;
}

int KvCache::capacity() const {
  if (layout() == Layout::kArrays) {
    if (!state_->arrays) return 0;
    return state_->arrays->keys.shape(1) + state_->n_gone();
  }
  return static_cast<int>(state_->pages.size()) * kPage;
}

std::size_t KvCache::n_bytes() const {
  if (layout() == Layout::kPages) {
    std::size_t total = 0;
    for (const auto& page : state_->pages) total += page ? page->size() : 0;
    return total;
  }
  if (!state_->arrays) return 0;
  return state_->arrays->keys.nbytes() + state_->arrays->values.nbytes();
}

void KvCache::reserve(int n) const {
  if (n > kMostPositions) {
    throw InvalidInput("cache", "positions wanted are " + std::to_string(n) +
                                    ", expected at most " +
                                    std::to_string(kMostPositions));
  }
  const cpu::KvShape& shape = state_->shape;
  if (layout() == Layout::kPages) {
    const int n_pages = pages_for(n);
    const int n_head = pages_for(state_->keep), first = state_->start / kPage;
    auto& pages = state_->pages;
    if (static_cast<int>(pages.size()) < n_pages)
      pages.resize(static_cast<std::size_t>(n_pages));
    for (int p = 0; p < n_pages; ++p) {
      auto& page = pages[static_cast<std::size_t>(p)];
      if (page || (p >= n_head && p < first)) continue;
      page = std::make_shared<AlignedBuffer>(
          state_->shape_of(static_cast<std::size_t>(p)).page_bytes());
    }
    return;
  }
  const int held = capacity();
  if (n <= held) return;
  const int wanted = std::max(
      n, std::min(held + (held - state_->n_gone()) / 4, kMostPositions));
  const int more = (wanted + kPage - 1) / kPage * kPage - held;
  const auto keys = empty_rows(shape, shape.key_dim, more);
  const auto values = empty_rows(shape, shape.value_dim, more);
  if (!state_->arrays) {
    state_->arrays = {keys, values};
  } else {
    state_->arrays = {mx::concatenate({state_->arrays->keys, keys}, 1),
                      mx::concatenate({state_->arrays->values, values}, 1)};
  }
}

void KvCache::make_room(int position, int n_rows) const {
  if (state_->n_gone() > 0 && position <= state_->keep) state_->start = 0;
  if (!holds(position, position + 1)) {
    throw InvalidInput(
        "cache", "position to write is " + std::to_string(position) +
                     ", expected one from " + std::to_string(state_->start));
  }
  reserve(position + n_rows);
}

bool KvCache::holds(int from, int to) const {
  return from >= to || state_->n_gone() == 0 || to <= state_->keep ||
         from >= state_->start;
}

void KvCache::hold_only(int keep, int begin, int end) const {
  begin = begin / kPage * kPage;
  if (layout() == Layout::kPages) {
    auto& pages = state_->pages;
    if (static_cast<int>(pages.size()) > pages_for(end))
      pages.resize(static_cast<std::size_t>(pages_for(end)));
    const auto n_pages = static_cast<int>(pages.size());
    for (int p = pages_for(keep); p < std::min(begin / kPage, n_pages); ++p)
      pages[static_cast<std::size_t>(p)] = nullptr;
  } else if (state_->arrays && begin > std::max(keep, state_->start)) {
    const int gone = state_->n_gone();
    const auto cut = [&](const mx::array& x) {
      const auto tail =
          some_rows(x, std::min(begin - gone, x.shape(1)), x.shape(1));
      return keep == 0 ? mx::contiguous(tail)
                       : mx::concatenate({some_rows(x, 0, keep), tail}, 1);
    };
    state_->arrays = {cut(state_->arrays->keys), cut(state_->arrays->values)};
  }
  if (begin <= std::max(keep, state_->start)) return;
  state_->keep = keep;
  state_->start = begin;
}

KvCache KvCache::copy(int n) const {
  const cpu::KvShape& shape = state_->shape;
  KvCache result(*this);
  result.state_ = std::make_shared<State>();
  result.state_->shape = shape;
  result.state_->layout = layout();
  result.state_->quantize_from = state_->quantize_from;
  result.state_->quantized_type = state_->quantized_type;
  result.state_->keep = state_->keep;
  result.state_->start = state_->start;
  std::vector<mx::array> pending;
  append_arrays(pending);
  mx::eval(pending);
  if (layout() == Layout::kArrays) {
    // Appending writes new arrays, so that these may be shared.
    result.state_->arrays = state_->arrays;
    return result;
  }
  result.reserve(std::min(n, capacity()));
  for (std::size_t i = 0; i < result.state_->pages.size(); ++i) {
    const auto& page = result.state_->pages[i];
    if (page && state_->pages[i])
      std::memcpy(page->data(), state_->pages[i]->data(), page->size());
  }
  return result;
}

KeyValue KvCache::rows(int from, int to) const {
  std::vector<mx::array> pending;
  append_arrays(pending);
  mx::eval(pending);
  const cpu::KvShape& shape = state_->shape;
  const int n = to - from;
  if (from < 0 || n < 0 || to > capacity() || !holds(from, to)) {
    throw InvalidInput("cache", "rows wanted are " + std::to_string(from) +
                                    " to " + std::to_string(to) +
                                    ", expected some that are held, to " +
                                    std::to_string(capacity()));
  }
  if (layout() == Layout::kArrays && state_->arrays) {
    const int gone = from >= state_->keep ? state_->n_gone() : 0;
    const auto read = [&](const mx::array& x) {
      return mx::astype(some_rows(x, from - gone, to - gone), mx::float32);
    };
    return {read(state_->arrays->keys), read(state_->arrays->values)};
  }
  const auto size = static_cast<std::size_t>(n);
  const auto begin = static_cast<std::size_t>(from);
  std::vector<float> keys(shape.n_kv_heads * size * shape.key_dim);
  std::vector<float> values(shape.n_kv_heads * size * shape.value_dim);
  for (std::size_t h = 0; h < shape.n_kv_heads; ++h) {
    for (std::size_t at = 0, some = 0; at < size; at += some) {
      const std::size_t p = (begin + at) / cpu::kPage;
      const std::size_t slot = (begin + at) % cpu::kPage;
      some = std::min(cpu::kPage - slot, size - at);
      const cpu::KvShape kind = state_->shape_of(p);
      cpu::read_rows(kind, cpu::head_of(kind, state_->pages[p]->data(), h),
                     slot, some, &keys[(h * size + at) * shape.key_dim],
                     &values[(h * size + at) * shape.value_dim]);
    }
  }
  const auto heads = static_cast<int>(shape.n_kv_heads);
  return {
      mx::array(keys.begin(), {heads, n, static_cast<int>(shape.key_dim)}),
      mx::array(values.begin(), {heads, n, static_cast<int>(shape.value_dim)})};
}

void KvCache::restore(const KeyValue& rows, int n_head, int begin) const {
  const cpu::KvShape& shape = state_->shape;
  const auto fits = [&](const mx::array& x, std::size_t dim) {
    return x.ndim() == 3 && x.shape(0) == static_cast<int>(shape.n_kv_heads) &&
           x.shape(1) == rows.keys.shape(1) &&
           x.shape(2) == static_cast<int>(dim);
  };
  if (!fits(rows.keys, shape.key_dim) || !fits(rows.values, shape.value_dim) ||
      n_head < 0 || n_head > rows.keys.shape(1) || n_head > begin ||
      begin > kMostPositions - rows.keys.shape(1)) {
    throw InvalidInput("cache", "rows to restore are " +
                                    shape_text(rows.keys.shape()) + " and " +
                                    shape_text(rows.values.shape()) +
                                    ", which do not fit");
  }
  const int n = rows.keys.shape(1);
  state_->pages.clear();
  state_->arrays.reset();
  state_->written.reset();
  state_->keep = n_head;
  state_->start = begin > n_head ? begin : 0;
  if (layout() == Layout::kArrays) {
    const mx::Dtype dtype = array_type(shape.type);
    state_->arrays = {mx::astype(rows.keys, dtype),
                      mx::astype(rows.values, dtype)};
    return;
  }
  reserve(n + state_->n_gone());
  auto keys = mx::contiguous(mx::astype(rows.keys, mx::float32));
  auto values = mx::contiguous(mx::astype(rows.values, mx::float32));
  mx::eval(keys, values);
  for (std::size_t h = 0; h < shape.n_kv_heads; ++h) {
    for (int row = 0, some = 0; row < n; row += some) {
      const int position = row < n_head ? row : row + state_->n_gone();
      const int slot = position % kPage;
      some = std::min(kPage - slot, (row < n_head ? n_head : n) - row);
      const auto p = static_cast<std::size_t>(position / kPage);
      const std::size_t at =
          h * static_cast<std::size_t>(n) + static_cast<std::size_t>(row);
      const cpu::KvShape kind = state_->shape_of(p);
      cpu::write_rows(
          kind, cpu::head_of(kind, state_->pages[p]->data(), h),
          static_cast<std::size_t>(slot), static_cast<std::size_t>(some),
          keys.data<float>() + at * shape.key_dim, shape.key_dim,
          values.data<float>() + at * shape.value_dim, shape.value_dim);
    }
  }
}

void KvCache::append_arrays(std::vector<mx::array>& arrays) const {
  if (state_->written) arrays.push_back(*state_->written);
  if (state_->arrays) {
    arrays.push_back(state_->arrays->keys);
    arrays.push_back(state_->arrays->values);
  }
}

}  // namespace skua
