#include "kernels/compiled.h"

#include <mlx/compile.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

// A node of a graph with its shape, primitive and edges, about.
constexpr std::size_t kNodeBytes = 512;

// Of the graph from the inputs to the results, which compiling keeps.
std::size_t graph_bytes(const std::string& name,
                        const std::vector<mx::array>& inputs,
                        const std::vector<mx::array>& results) {
  std::unordered_set<std::uintptr_t> seen;
  for (const mx::array& input : inputs) seen.insert(input.id());
  std::vector<mx::array> open = results;
  std::size_t total = 0;
  while (!open.empty()) {
    const mx::array a = open.back();
    open.pop_back();
    if (!seen.insert(a.id()).second) continue;
    if (!a.has_primitive() && a.size() > 1) {
      throw Error(name, "holds an array " + shape_text(a.shape()) +
                            " of its own, expected it among the inputs");
    }
    total += kNodeBytes;
    open.insert(open.end(), a.inputs().begin(), a.inputs().end());
  }
  return total;
}

ArrayFunction compile_for_all_shapes(const ArrayFunction& f) {
  // MLX lets go of functions that capture, once they are destroyed.
  return mx::compile(
      [f](const std::vector<mx::array>& inputs) { return f(inputs); }, true);
}

}  // namespace

CompiledFunctions::CompiledFunctions()
    : CompiledFunctions(Limits(), compile_for_all_shapes) {}

CompiledFunctions::CompiledFunctions(
    const Limits& limits,
    std::function<ArrayFunction(const ArrayFunction&)> compile)
    : limits_(limits), compile_(std::move(compile)) {}

std::vector<mx::array> CompiledFunctions::call(
    const std::string& name, const ArrayFunction& f,
    const std::vector<mx::array>& inputs) {
  Key key{name, {}, {}, mx::default_stream(mx::default_device())};
  for (const mx::array& input : inputs) {
    key.dtypes.push_back(input.dtype());
    key.ranks.push_back(input.ndim());
  }
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  if (found != entries_.end()) {
    ++counts_.n_hits;
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().function(inputs);
  }
  ++counts_.n_misses;
  std::vector<mx::array> results = f(inputs);
  const std::size_t n_bytes = graph_bytes(name, inputs, results);
  if (limits_.n_functions == 0 || n_bytes > limits_.n_bytes) return results;
  while (entries_.size() >= limits_.n_functions ||
         counts_.n_bytes + n_bytes > limits_.n_bytes) {
    counts_.n_bytes -= entries_.back().n_bytes;
    entries_.pop_back();
    ++counts_.n_evictions;
  }
  entries_.push_front({std::move(key), compile_(f), n_bytes});
  counts_.n_bytes += n_bytes;
  return entries_.front().function(inputs);
}

CompiledFunctions::Counts CompiledFunctions::counts() const {
  Counts counts = counts_;
  counts.n_functions = entries_.size();
  return counts;
}

std::vector<std::string> CompiledFunctions::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.key.name);
  return names;
}

CompiledFunctions& compiled_functions() {
  thread_local CompiledFunctions functions;
  return functions;
}

std::vector<mx::array> fused(const std::string& name, const ArrayFunction& f,
                             const std::vector<mx::array>& inputs) {
  return runs_on_cpu() ? f(inputs) : compiled_functions().call(name, f, inputs);
}

}  // namespace skua
