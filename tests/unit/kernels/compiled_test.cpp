#include "kernels/compiled.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "kernels/elementwise.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;

using Arrays = std::vector<mx::array>;
using Names = std::vector<std::string>;

Arrays doubled(const Arrays& in) {
  return {mx::add(in[0], in[0])};
}

Arrays doubled_twice(const Arrays& in) {
  return doubled(doubled(in));
}

/** Notes how often each compiled function is made and called. */
class Compiler {
 public:
  ArrayFunction operator()(const ArrayFunction& f) {
    ++*n_compiled;
    return [f, n = n_called](const Arrays& in) {
      ++*n;
      return f(in);
    };
  }
  std::shared_ptr<int> n_compiled = std::make_shared<int>();
  std::shared_ptr<int> n_called = std::make_shared<int>();
};

const mx::array kX = mx::array({1.0f, 2.0f});

// COMP-10
TEST(CompiledFunctions, TheOneUnusedForLongestLeavesFirst) {
  const Compiler compiler;
  CompiledFunctions functions({.n_functions = 2}, compiler);
  for (const char* name : {"a", "b", "a", "c", "a", "b"})
    EXPECT_EQ(numbers(functions.call(name, doubled, {kX})[0])[1], 4);
  // First in, first out would have given up a for c, and again for b.
  EXPECT_EQ(functions.names(), (Names{"b", "a"}));
  const auto counts = functions.counts();
  EXPECT_EQ(counts.n_functions, 2);
  EXPECT_EQ(counts.n_hits, 2);
  EXPECT_EQ(counts.n_misses, 4);
  EXPECT_EQ(counts.n_evictions, 2);
  EXPECT_EQ(*compiler.n_compiled, 4);
  EXPECT_EQ(*compiler.n_called, 6);
}

// COMP-10
TEST(CompiledFunctions, HoldNoMoreBytesThanTheyMay) {
  CompiledFunctions one({}, Compiler());
  one.call("small", doubled, {kX});
  const std::size_t small = one.counts().n_bytes;
  EXPECT_GT(small, 0);
  one.call("large", doubled_twice, {kX});
  const std::size_t large = one.counts().n_bytes - small;
  EXPECT_GT(large, small);

  CompiledFunctions functions({.n_functions = 9, .n_bytes = large + small},
                              Compiler());
  for (const char* name : {"a", "b", "c"}) functions.call(name, doubled, {kX});
  EXPECT_EQ(functions.names(), (Names{"c", "b", "a"}));
  functions.call("d", doubled_twice, {kX});
  EXPECT_EQ(functions.names(), (Names{"d", "c"}));
  EXPECT_EQ(functions.counts().n_bytes, large + small);
  EXPECT_EQ(functions.counts().n_evictions, 2);
}

// COMP-10
TEST(CompiledFunctions, WhatIsBeyondTheLimitsRunsAsItIs) {
  const Compiler compiler;
  CompiledFunctions functions({.n_functions = 4, .n_bytes = 100}, compiler);
  EXPECT_EQ(numbers(functions.call("a", doubled, {kX})[0])[1], 4);
  EXPECT_EQ(*compiler.n_compiled, 0);
  EXPECT_EQ(functions.counts().n_functions, 0);
  EXPECT_EQ(functions.counts().n_misses, 1);
}

// COMP-10
TEST(CompiledFunctions, TypesAndRanksAreApartAndShapesAreNot) {
  CompiledFunctions functions({}, Compiler());
  for (const int n : {1, 2, 300})
    functions.call("a", doubled, {mx::zeros({n, 4})});
  EXPECT_EQ(functions.counts().n_functions, 1);
  EXPECT_EQ(functions.counts().n_hits, 2);
  functions.call("a", doubled, {mx::zeros({4})});
  functions.call("a", doubled, {mx::zeros({4}, mx::bfloat16)});
  EXPECT_EQ(functions.counts().n_functions, 3);
}

// COMP-12
TEST(CompiledFunctions, AnArrayOfTheFunctionsOwnIsRefused) {
  CompiledFunctions functions({}, Compiler());
  const mx::array weight({1.0f, 2.0f});
  const auto holds = [weight](const Arrays& in) {
    return Arrays{mx::add(in[0], weight)};
  };
  try {
    functions.call("holds", holds, {kX});
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "[holds] holds an array [2] of its own, expected it among the "
              "inputs");
  }
  EXPECT_EQ(functions.counts().n_functions, 0);
}

/** MLX's compile() without the fusing that needs a system compiler. */
class WithoutFusing {
 public:
  WithoutFusing() { mx::set_compile_mode(mx::CompileMode::no_fuse); }
  ~WithoutFusing() { mx::set_compile_mode(mx::CompileMode::disabled); }
};

// COMP-10: for every number of rows with the bits of the function itself.
TEST(CompiledFunctions, MlxCompilesOnceForAllShapes) {
  const WithoutFusing mode;
  CompiledFunctions functions;
  int n_traced = 0;
  const auto gate = [&](const Arrays& in) {
    ++n_traced;
    return Arrays{gated_fallback(Gate::kGeluTanh, in[0], in[1])};
  };
  for (const int rows : {1, 7, 1, 300}) {
    const mx::array a = normal({rows, 8}, 1), b = normal({rows, 8}, 2);
    EXPECT_EQ(numbers(functions.call("gate", gate, {a, b})[0]),
              numbers(gated_fallback(Gate::kGeluTanh, a, b)));
  }
  // To be measured, and to be compiled.
  EXPECT_EQ(n_traced, 2);
  EXPECT_EQ(functions.counts().n_hits, 3);

  const auto products = [](const Arrays& in) {
    return Arrays{mx::multiply(in[0], in[1]), mx::subtract(in[0], in[1])};
  };
  for (const int rows : {2, 9}) {
    const Arrays in = {normal({rows, 3, 4}, 1), normal({rows, 1, 4}, 2)};
    const Arrays got = functions.call("products", products, in);
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_EQ(numbers(got[i]), numbers(products(in)[i]));
  }
}

// COMP-11
TEST(CompiledFunctions, TheCpuCompilesNothing) {
  const auto before = compiled_functions().counts();
  EXPECT_EQ(numbers(fused("doubled", doubled, {kX})[0])[1], 4);
  EXPECT_EQ(compiled_functions().counts().n_misses, before.n_misses);
}

}  // namespace
}  // namespace skua
