#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/experts.h"
#include "kernels/linear.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

// FNV-1a over the bits of every kernel's results.
std::string bits_of_results() {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](const mx::array& a) {
    for (const float x : test::numbers(a)) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &x, sizeof bits);
      hash = (hash ^ bits) * 0x100000001b3;
    }
  };
  const mx::array x = test::normal({37, 192}, 1);
  for (const auto& kind :
       {test::MatrixKind{"dense"}, test::MatrixKind{"affine", 4, 64},
        test::MatrixKind{"mxfp4", 4, 32}}) {
    WeightMatrix w = test::make_matrix(kind, 1000, 192, 2);
    add(linear(x, w));
    w.precision = Precision::kDefault;
    add(linear(x, w));
  }
  const ExpertMatrices up{test::make_matrix({"affine", 4, 64}, 5 * 320, 192, 6),
                          5};
  const ExpertMatrices down{test::make_matrix({"dense"}, 5 * 192, 320, 7), 5};
  const auto ids =
      mx::remainder(mx::reshape(mx::arange(37 * 3), {37, 3}), mx::array(5));
  add(expert_gated_mlp(x, {&up, &up, &down}, ids, test::normal({37, 3}, 8)));
  const mx::array wide = test::normal({37, 3000}, 3);
  add(rms_norm(wide, test::normal({3000}, 4), 1e-5f));
  add(gated(Gate::kSilu, wide, wide));
  const mx::array q = test::normal({2200, 6, 32}, 5);
  for (const KvType type : {KvType::kF32, KvType::kInt8, KvType::kInt4}) {
    const KvCache cache(type, 6, 32, 32);
    const auto first = mx::slice(q, {0, 0, 0}, {2199, 6, 32});
    const auto last = mx::slice(q, {2199, 0, 0}, {2200, 6, 32});
    add(append_and_attend(first, first, first, {{0, 2199, 0}}, {cache}, {}));
    add(append_and_attend(last, last, last, {{0, 1, 2199}}, {cache}, {}));
    const KvCache shared(type, 2, 32, 32);
    const auto keys = mx::slice(q, {0, 0, 0}, {2200, 2, 32});
    add(append_and_attend(q, keys, keys, {{0, 2200, 0}}, {shared},
                          {.precision = Precision::kDefault}));
  }
  return std::to_string(hash);
}

// The pool is made once: other thread counts need a process of their own,
// which "threadsafe" starts from the beginning with this environment.
TEST(Kernels, GiveTheSameBitsForEveryThreadCount) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  if (std::getenv("SKUA_TEST_BITS") == nullptr)
    setenv("SKUA_TEST_BITS", bits_of_results().c_str(), 1);
  for (const char* n : {"1", "2", "3", "8"}) {
    setenv("SKUA_THREADS", n, 1);
    EXPECT_EXIT(
        std::_Exit(bits_of_results() == std::getenv("SKUA_TEST_BITS") ? 0 : 1),
        testing::ExitedWithCode(0), "");
  }
  unsetenv("SKUA_THREADS");
  unsetenv("SKUA_TEST_BITS");
}

}  // namespace
}  // namespace skua
