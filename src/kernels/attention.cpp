#include "kernels/attention.h"

#include <mlx/mlx.h>

#include <memory>
#include <utility>

#include "kernels/attention_fallback.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/linear_input.h"
#include "kernels/deterministic_scope.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr int kMostPositions = 1 << 30;

void expect(bool holds, const std::string& what, const mx::array& got) {
  if (!holds) {
    throw InvalidInput("attention", what + ", got " + shape_text(got.shape()));
  }
}

void check_rows(const mx::array& q, const mx::array& k, const mx::array& v) {
  expect(q.ndim() == 3, "q is expected to be [T, H, d]", q);
  expect(k.ndim() == 3 && k.shape(0) == q.shape(0) &&
             k.shape(2) == q.shape(2) && k.shape(1) > 0 &&
             q.shape(1) % k.shape(1) == 0,
         "k is expected to be [T, K, d] with K a divisor of H", k);
  expect(v.ndim() == 3 && v.shape(0) == k.shape(0) &&
             v.shape(1) == k.shape(1) && v.dtype() == k.dtype(),
         "v is expected to have k's rows, heads and type", v);
}

void check_caches(const mx::array& q, const mx::array& k, const mx::array& v,
                  const std::vector<AttentionSegment>& segments,
                  const std::vector<KvCache>& caches) {
  if (segments.size() != caches.size()) {
    throw InvalidInput("attention",
                       std::to_string(segments.size()) + " segments, got " +
                           std::to_string(caches.size()) + " caches");
  }
  int next_row = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const AttentionSegment& s = segments[i];
    const cpu::KvShape& shape = caches[i].state().shape;
    const auto is = [](std::size_t have, int want) {
      return have == static_cast<std::size_t>(want);
    };
    expect(is(shape.n_kv_heads, k.shape(1)) && is(shape.key_dim, k.shape(2)) &&
               is(shape.value_dim, v.shape(2)) &&
               caches[i].layout() == caches[0].layout() &&
               caches[i].type() == caches[0].type() &&
               caches[i].quantize_from() == caches[0].quantize_from() &&
               caches[i].quantized_type() == caches[0].quantized_type(),
           "the caches are expected to be of one kind and for k", k);
    if (s.first_row != next_row || s.n_rows < 1 || s.position < 0 ||
        s.n_rows > q.shape(0) - next_row || s.position > kMostPositions) {
      throw InvalidInput(
          "attention",
          "segment " + std::to_string(i) + " has " + std::to_string(s.n_rows) +
              " rows from " + std::to_string(s.first_row) + " at position " +
              std::to_string(s.position) + ", expected at least one from row " +
              std::to_string(next_row) + " of " + std::to_string(q.shape(0)));
    }
    next_row += s.n_rows;
  }
  expect(next_row == q.shape(0), "q's rows do not match the segments", q);
}

void check_options(const mx::array& q,
                   const std::vector<AttentionSegment>& segments,
                   const AttentionOptions& options) {
  for (const auto& part : {options.slopes, options.sinks}) {
    expect(!part || part->shape() == mx::Shape{q.shape(1)},
           "slopes and sinks are expected to be [H]", part.value_or(q));
  }
  if (!(options.soft_cap >= 0) || options.window < 0 || options.keep < 0)
    throw InvalidInput("attention", "soft cap, window or keep is negative");
  if (!options.mask) return;
  int length = 0;
  for (const AttentionSegment& s : segments)
    length = std::max(length, s.position + s.n_rows);
  const mx::array& mask = *options.mask;
  expect(mask.ndim() == 2 && mask.shape(0) == q.shape(0) &&
             mask.shape(1) >= length,
         "the mask is expected to be [T, >= " + std::to_string(length) + "]",
         mask);
}

void check_held(const std::vector<AttentionSegment>& segments,
                const std::vector<KvCache>& caches,
                const AttentionOptions& options) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const int end = segments[i].position;
    const int begin =
        options.window == 0 ? 0 : std::max(0, end - options.window + 1);
    if (!caches[i].holds(begin, end) ||
        !caches[i].holds(0, std::min(options.keep, end))) {
      throw InvalidInput("attention", "segment " + std::to_string(i) +
                                          " sees positions that its cache " +
                                          "has given up");
    }
  }
}

mx::array plain(const mx::array& x) {
  return row_contiguous(mx::astype(x, mx::float32));
}

// What runs later: everything but the addresses of arrays.
struct Plan {
  cpu::AttentionShape shape;
  std::vector<cpu::AttentionTask> tasks;
  std::vector<std::shared_ptr<const AlignedBuffer>> pages;
};

std::shared_ptr<Plan> make_plan(const mx::array& q,
                                const std::vector<AttentionSegment>& segments,
                                const std::vector<KvCache>& caches,
                                const AttentionOptions& options) {
  auto plan = std::make_shared<Plan>();
  cpu::AttentionShape& shape = plan->shape;
  shape.kv = caches.at(0).state().shape;
  shape.n_heads = static_cast<std::size_t>(q.shape(1));
  shape.scale = options.scale;
  const int from = caches[0].quantize_from();
  if (from != KvCache::kNever)
    shape.quantized_page = static_cast<std::size_t>(from) / cpu::kPage;
  shape.quantized_type = caches[0].quantized_type();
  shape.window = static_cast<std::size_t>(options.window);
  shape.keep = static_cast<std::size_t>(options.keep);
  shape.causal = options.causal;
  shape.soft_cap = options.soft_cap;
  shape.may_round =
      cpu::rounds_to_bf16(DeterministicScope::limit(options.precision));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const AttentionSegment& s = segments[i];
    cpu::AttentionTask task{static_cast<std::size_t>(s.first_row),
                            static_cast<std::size_t>(s.n_rows),
                            static_cast<std::size_t>(s.position),
                            {}};
    const auto n_pages = (s.position + s.n_rows + cpu::kPage - 1) / cpu::kPage;
    for (std::size_t p = 0; p < n_pages; ++p) {
      const auto& page = caches[i].state().pages[p];
      task.pages.push_back(page ? page->data() : nullptr);
      if (page) plan->pages.push_back(page);
    }
    plan->tasks.push_back(std::move(task));
  }
  return plan;
}

mx::array attend_in_pages(const mx::array& q, const mx::array& k,
                          const mx::array& v,
                          const std::vector<AttentionSegment>& segments,
                          const std::vector<KvCache>& caches,
                          const AttentionOptions& options) {
  std::vector<mx::array> inputs = {plain(q), plain(k), plain(v)};
  for (const auto& part : {options.slopes, options.mask, options.sinks})
    if (part) inputs.push_back(plain(*part));
  // What earlier calls wrote must be there: their outputs are inputs.
  for (const KvCache& cache : caches)
    if (cache.state().written) inputs.push_back(*cache.state().written);
  const bool slopes = options.slopes.has_value();
  const bool mask = options.mask.has_value();
  const bool sinks = options.sinks.has_value();
  auto body = [plan = make_plan(q, segments, caches, options), slopes, mask,
               sinks](const std::vector<mx::array>& in,
                      std::vector<mx::array>& out) {
    allocate(out[0]);
    allocate(out[1]);
    cpu::AttentionShape shape = plan->shape;
    std::size_t next = 3;
    if (slopes) shape.slopes = in[next++].data<float>();
    if (mask) {
      shape.mask_columns = static_cast<std::size_t>(in[next].shape(1));
      shape.mask = in[next++].data<float>();
    }
    if (sinks) shape.sinks = in[next].data<float>();
    return [plan, shape, q = in[0].data<float>(), k = in[1].data<float>(),
            v = in[2].data<float>(), y = out[0].data<float>(),
            written = out[1].data<std::uint8_t>()] {
      cpu::append_and_attend(shape, plan->tasks, q, k, v, y);
      *written = 1;
    };
  };
  const auto outputs = mx::array::make_arrays(
      {{q.shape(0), q.shape(1), v.shape(2)}, {1}}, {mx::float32, mx::uint8},
      cpu_primitive("append_and_attend", std::move(body)), inputs);
  for (const KvCache& cache : caches) cache.state().written = outputs[1];
  return mx::astype(outputs[0], q.dtype());
}

}  // namespace

mx::array append_and_attend(const mx::array& q, const mx::array& k,
                            const mx::array& v,
                            const std::vector<AttentionSegment>& segments,
                            const std::vector<KvCache>& caches,
                            const AttentionOptions& options) {
  check_rows(q, k, v);
  check_caches(q, k, v, segments, caches);
  check_options(q, segments, options);
  check_held(segments, caches, options);
  if (segments.empty())
    return mx::zeros({0, q.shape(1), v.shape(2)}, q.dtype());
  for (std::size_t i = 0; i < segments.size(); ++i)
    caches[i].make_room(segments[i].position, segments[i].n_rows);
  if (caches[0].layout() == KvCache::Layout::kPages)
    return attend_in_pages(q, k, v, segments, caches, options);
  return append_and_attend_fallback(q, k, v, segments, caches, options);
}

}  // namespace skua
