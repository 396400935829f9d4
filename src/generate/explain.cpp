#include "generate/explain.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <cctype>
#include <tuple>
#include <unordered_set>

#include "generate/session.h"
#include "kernels/compiled.h"
#include "kernels/linear.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr int kMostContext = 1 << 20;

// "model.layers.12.mlp" -> "model.layers.*.mlp"
std::string without_number(const std::string& path) {
  std::string name;
  for (std::size_t i = 0; i < path.size();) {
    const std::size_t dot = std::min(path.find('.', i), path.size());
    const bool number =
        dot > i && std::all_of(path.begin() + static_cast<long>(i),
                               path.begin() + static_cast<long>(dot),
                               [](unsigned char c) { return std::isdigit(c); });
    name += number ? "*" : path.substr(i, dot - i);
    if (dot < path.size()) name += '.';
    i = dot + 1;
  }
  return name;
}

std::vector<Explanation::Matrices> group_matrices(const TensorAudit& audit) {
  std::vector<Explanation::Matrices> groups;
  for (const TensorAudit::Matrix& m : audit.matrices) {
    Explanation::Matrices one;
    one.name = without_number(m.path);
    one.rows = static_cast<int>(m.format.n_rows);
    one.cols = static_cast<int>(m.format.n_cols);
    one.format = format_name(m.format);
    auto found = std::ranges::find_if(groups, [&](const auto& g) {
      return std::tie(g.name, g.rows, g.cols, g.format) ==
             std::tie(one.name, one.rows, one.cols, one.format);
    });
    if (found == groups.end()) {
      one.decode_kernel = linear_kernel(m.format, 1);
      one.prefill_kernel = linear_kernel(m.format, Session::kChunk);
      found = groups.insert(found, std::move(one));
    }
    ++found->n;
    found->n_bytes += m.n_bytes;
  }
  return groups;
}

std::size_t weight_bytes_per_token(const TensorAudit& audit) {
  const bool has_head = std::ranges::any_of(audit.matrices, [](const auto& m) {
    return m.path.ends_with("lm_head");
  });
  std::size_t total = 0;
  for (const auto& tensor : audit.used) total += tensor.n_bytes;
  std::size_t of_matrices = 0, read = 0;
  for (const TensorAudit::Matrix& m : audit.matrices) {
    of_matrices += m.n_bytes;
    const bool by_row = has_head && m.path.ends_with("embed_tokens");
    read += by_row ? m.n_bytes / m.format.n_rows : m.n_bytes;
  }
  // What is no matrix, norms and biases, is small and read whole.
  return total - std::min(total, of_matrices) + read;
}

Explanation::Nodes count_nodes(const mx::array& result) {
  Explanation::Nodes nodes;
  std::unordered_set<std::uintptr_t> seen;
  std::vector<mx::array> open = {result};
  while (!open.empty()) {
    const mx::array a = open.back();
    open.pop_back();
    if (!a.has_primitive() || !seen.insert(a.primitive_id()).second) continue;
    const mx::Primitive& made_by = a.primitive();
    const bool ours = dynamic_cast<const CpuKernel*>(&made_by) != nullptr;
    ++(ours ? nodes.ours : nodes.mlx)[made_by.name()];
    open.insert(open.end(), a.inputs().begin(), a.inputs().end());
  }
  return nodes;
}

Explanation::Compiled compiled_functions_so_far() {
  const CompiledFunctions& functions = compiled_functions();
  const CompiledFunctions::Counts counts = functions.counts();
  return {.names = functions.names(),
          .n_bytes = counts.n_bytes,
          .most_functions = functions.limits().n_functions,
          .most_bytes = functions.limits().n_bytes,
          .n_hits = counts.n_hits,
          .n_misses = counts.n_misses,
          .n_evictions = counts.n_evictions};
}

// Layers of one kind have one plan.
struct Kind {
  int window, keep;
  bool state;
  std::size_t n_bytes_of_one;
  bool operator==(const Kind&) const = default;
};

// A layer's cache after a prompt of `context` tokens: its steps are built, not
// run.
std::size_t cache_bytes(const cpu::KvShape& shape, const Kind& kind,
                        int context, const CacheOptions& options) {
  const auto rows = [&](int n, std::size_t dim) {
    return mx::zeros(
        {n, static_cast<int>(shape.n_kv_heads), static_cast<int>(dim)});
  };
  Cache cache(1, options);
  const int sequence = cache.add_sequence();
  for (int at = 0; at < context; at += Session::kChunk) {
    const int n = std::min(Session::kChunk, context - at);
    Batch batch;
    batch.add(sequence, at, n);
    AttentionOptions attention;
    attention.window = kind.window;
    attention.keep = kind.keep;
    const auto k = rows(n, shape.key_dim);
    cache.layer(0).attend(k, k, rows(n, shape.value_dim), batch, attention);
    cache.advance(batch);
  }
  // The steps that never run hold the cache, which holds them.
  cache.layer(0).find(sequence)->state().written.reset();
  return cache.n_bytes();
}

// What the token at the end of the context reads of a layer's cache.
std::size_t read_bytes(const KvCache& held, const Kind& kind, int context,
                       const CacheOptions& options) {
  const auto per_position = [&](KvType type) {
    const KvCache page(type, static_cast<int>(held.state().shape.n_kv_heads),
                       static_cast<int>(held.state().shape.key_dim),
                       static_cast<int>(held.state().shape.value_dim));
    page.reserve(1);
    return page.n_bytes() / static_cast<std::size_t>(page.capacity());
  };
  const int first = kind.window == 0 ? 0 : std::max(0, context - kind.window);
  const int head = std::min(kind.keep, first);
  const int as_int8 = held.quantize_from();
  const int n_seen = head + context - first;
  const int n_plain =
      std::min(head, as_int8) + std::max(0, std::min(context, as_int8) - first);
  std::size_t total =
      static_cast<std::size_t>(n_plain) * per_position(options.kv_type);
  if (n_seen > n_plain) {
    total += static_cast<std::size_t>(n_seen - n_plain) *
             per_position(KvType::kInt8);
  }
  return total;
}

std::vector<Explanation::CacheLayers> plan_cache(Cache& cache, int sequence,
                                                 int context) {
  std::vector<Kind> kinds;
  std::vector<Explanation::CacheLayers> plan;
  for (int i = 0; i < cache.n_layers(); ++i) {
    const LayerCache& layer = cache.layer(i);
    const KvCache* held = layer.find(sequence);
    const std::size_t of_state = layer.states().n_bytes();
    // Shares another layer's.
    if (held == nullptr && of_state == 0) continue;
    const Kind kind{layer.window(), layer.keep(), held == nullptr,
                    held == nullptr ? of_state : held->n_bytes()};
    const auto found = std::ranges::find(kinds, kind);
    const auto at = static_cast<std::size_t>(found - kinds.begin());
    if (found == kinds.end()) {
      kinds.push_back(kind);
      // Two states are kept, those before and after the newest step.
      const std::size_t n_states = context > Session::kChunk ? 2 : 1;
      if (kind.state)
        plan.push_back({0, 0, 0, true, n_states * of_state, of_state});
      else
        plan.push_back(
            {0, kind.window, kind.keep, false,
             cache_bytes(held->state().shape, kind, context, cache.options()),
             read_bytes(*held, kind, context, cache.options())});
    }
    ++plan[at].n;
  }
  return plan;
}

}  // namespace

Explanation explain(const LoadedModel& loaded, int context,
                    const CacheOptions& options) {
  if (context < 1 || context > kMostContext) {
    throw InvalidInput("explain", "the context is " + std::to_string(context) +
                                      ", expected 1 to " +
                                      std::to_string(kMostContext));
  }
  const CausalLM& model = *loaded.model;
  Explanation e;
  e.context = context;
  e.prefill_rows = Session::kChunk;
  e.matrices = group_matrices(loaded.audit);
  e.weight_bytes = weight_bytes_per_token(loaded.audit);

  Cache cache = model.make_cache(options);
  const int sequence = cache.add_sequence();
  Batch batch;
  batch.add(sequence, 0, 1);
  batch.want_last();
  const std::int32_t token = 0;
  mx::array logits =
      model.forward(mx::array(&token, {1}, mx::int32), batch, cache);
  e.decode_nodes = count_nodes(logits);
  logits.eval();
  e.compiled = compiled_functions_so_far();
  e.cache = plan_cache(cache, sequence, context);
  for (const Explanation::CacheLayers& layers : e.cache) {
    const auto n = static_cast<std::size_t>(layers.n);
    e.cache_bytes += n * layers.n_bytes;
    e.kv_bytes += n * layers.read_bytes;
  }
  return e;
}

}  // namespace skua
