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

// How arrays store numbers; those of int8 hold the rounded ones.
mx::Dtype array_type(KvType type) {
  if (type == KvType::kBf16) return mx::bfloat16;
  return type == KvType::kF16 ? mx::float16 : mx::float32;
}

mx::array empty_rows(const cpu::KvShape& shape, std::size_t dim, int n) {
  return mx::zeros(
      {static_cast<int>(shape.n_kv_heads), n, static_cast<int>(dim)},
      array_type(shape.type));
}

mx::array first_rows(const mx::array& x, int n) {
  return mx::slice(x, {0, 0, 0}, {x.shape(0), n, x.shape(2)});
}

}  // namespace

KvCache::Layout KvCache::default_layout() {
  return runs_on_cpu() ? Layout::kPages : Layout::kArrays;
}

KvCache::KvCache(KvType type, int n_kv_heads, int key_dim, int value_dim,
                 Layout layout)
    : state_(std::make_shared<State>()) {
  if (n_kv_heads < 1 || key_dim < 1 || value_dim < 1) {
    throw InvalidInput(
        "cache", "heads and their sizes are " + std::to_string(n_kv_heads) +
                     ", " + std::to_string(key_dim) + " and " +
                     std::to_string(value_dim) + ", expected positive");
  }
  state_->shape = {type, static_cast<std::size_t>(n_kv_heads),
                   static_cast<std::size_t>(key_dim),
                   static_cast<std::size_t>(value_dim)};
  state_->layout = layout;
}

int KvCache::capacity() const {
  if (layout() == Layout::kArrays)
    return state_->arrays ? state_->arrays->keys.shape(1) : 0;
  return static_cast<int>(state_->pages.size()) * kPage;
}

std::size_t KvCache::n_bytes() const {
  if (layout() == Layout::kPages)
    return state_->pages.size() * state_->shape.page_bytes();
  if (!state_->arrays) return 0;
  return state_->arrays->keys.nbytes() + state_->arrays->values.nbytes();
}

void KvCache::reserve(int n) const {
  const int held = capacity();
  if (n <= held) return;
  if (n > kMostPositions) {
    throw InvalidInput("cache", "positions wanted are " + std::to_string(n) +
                                    ", expected at most " +
                                    std::to_string(kMostPositions));
  }
  const cpu::KvShape& shape = state_->shape;
  if (layout() == Layout::kPages) {
    while (capacity() < n) state_->pages.emplace_back(shape.page_bytes());
    return;
  }
  const int wanted = std::max(n, std::min(held + held / 4, kMostPositions));
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

KvCache KvCache::copy(int n) const {
  const cpu::KvShape& shape = state_->shape;
  KvCache result(*this);
  result.state_ = std::make_shared<State>();
  result.state_->shape = shape;
  result.state_->layout = layout();
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
    std::memcpy(result.state_->pages[i].data(), state_->pages[i].data(),
                shape.page_bytes());
  }
  return result;
}

KeyValue KvCache::rows(int n) const {
  std::vector<mx::array> pending;
  append_arrays(pending);
  mx::eval(pending);
  const cpu::KvShape& shape = state_->shape;
  const auto size = static_cast<std::size_t>(n);
  if (n < 0 || n > capacity()) {
    throw InvalidInput("cache", "rows wanted are " + std::to_string(n) +
                                    ", expected at most " +
                                    std::to_string(capacity()));
  }
  if (layout() == Layout::kArrays && state_->arrays) {
    return {mx::astype(first_rows(state_->arrays->keys, n), mx::float32),
            mx::astype(first_rows(state_->arrays->values, n), mx::float32)};
  }
  std::vector<float> keys(shape.n_kv_heads * size * shape.key_dim);
  std::vector<float> values(shape.n_kv_heads * size * shape.value_dim);
  for (std::size_t h = 0; h < shape.n_kv_heads; ++h) {
    for (std::size_t at = 0; at < size; at += cpu::kPage) {
      std::byte* page = state_->pages[at / cpu::kPage].data();
      cpu::read_rows(shape, cpu::head_of(shape, page, h), 0,
                     std::min(cpu::kPage, size - at),
                     &keys[(h * size + at) * shape.key_dim],
                     &values[(h * size + at) * shape.value_dim]);
    }
  }
  const auto heads = static_cast<int>(shape.n_kv_heads);
  return {
      mx::array(keys.begin(), {heads, n, static_cast<int>(shape.key_dim)}),
      mx::array(values.begin(), {heads, n, static_cast<int>(shape.value_dim)})};
}

void KvCache::append_arrays(std::vector<mx::array>& arrays) const {
  if (state_->written) arrays.push_back(*state_->written);
  if (state_->arrays) {
    arrays.push_back(state_->arrays->keys);
    arrays.push_back(state_->arrays->values);
  }
}

}  // namespace skua
