#pragma once

#include <mlx/array.h>
#include <mlx/stream.h>

#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <vector>

namespace skua {

namespace mx = mlx::core;

using ArrayFunction =
    std::function<std::vector<mx::array>(const std::vector<mx::array>&)>;

/** f(inputs), as one kernel where a GPU computes; on the CPU nothing is
 *  compiled. f is element-wise, the same under one name, and captures no array
 *  but scalars. One compiled function serves all shapes of a rank, so prompts
 *  and single tokens share it. */
std::vector<mx::array> fused(const std::string& name, const ArrayFunction& f,
                             const std::vector<mx::array>& inputs);

/** Compiled functions by name, types of their inputs and stream. The one whose
 *  last use is longest ago leaves first. MLX itself never gives one up. To be
 *  used on one thread, as MLX's own cache. */
class CompiledFunctions {
 public:
  struct Limits {
    std::size_t n_functions = 64;
    std::size_t n_bytes = std::size_t{4} << 20;
  };
  struct Counts {
    std::size_t n_functions = 0, n_bytes = 0;
    std::size_t n_hits = 0, n_misses = 0, n_evictions = 0;
  };

  CompiledFunctions();
  explicit CompiledFunctions(
      const Limits& limits,
      std::function<ArrayFunction(const ArrayFunction&)> compile);

  /** f(inputs), by the function compiled before or one that is compiled now;
   *  f itself runs where it alone is beyond the limits.
   *  Throws Error for an f that holds an array of its own, which would stay in
   *  memory with the function. */
  std::vector<mx::array> call(const std::string& name, const ArrayFunction& f,
                              const std::vector<mx::array>& inputs);

  Counts counts() const;
  const Limits& limits() const { return limits_; }
  /** The newest use first. */
  std::vector<std::string> names() const;

 private:
  struct Key {
    std::string name;
    std::vector<mx::Dtype> dtypes;
    std::vector<std::size_t> ranks;
    mx::Stream stream;
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    Key key;
    ArrayFunction function;
    std::size_t n_bytes;
  };

  Limits limits_;
  std::function<ArrayFunction(const ArrayFunction&)> compile_;
  std::list<Entry> entries_;  // the newest use first
  Counts counts_;
};

/** Those of this thread, which fused() uses. */
CompiledFunctions& compiled_functions();

}  // namespace skua
