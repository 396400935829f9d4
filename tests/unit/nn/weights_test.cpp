#include "nn/weights.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "nn/layers.h"
#include "skua/error.h"
#include "tests/unit/kernels/matrices.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;

Weights some_weights() {
  Weights w("model.safetensors", mx::float32);
  w.add("model.norm.weight", mx::array({1.0f, 2.0f, 3.0f}));
  w.add("model.proj.weight", normal({4, 3}, 1));
  return w;
}

void add_quantised(Weights& w, const std::string& path,
                   const test::MatrixKind& kind, int n, int k) {
  const WeightMatrix m = test::make_matrix(kind, n, k, 9);
  w.add(path + ".weight", m.weight);
  w.add(path + ".scales", *m.scales);
  if (m.biases) w.add(path + ".biases", *m.biases);
}

TEST(Weights, ATensorThatComesTwiceIsNamed) {
  Weights w = some_weights();
  SKUA_EXPECT_ERROR(w.add("model.norm.weight", mx::array(1.0f)), InvalidInput,
                    "[model.safetensors] tensor model.norm.weight comes twice");
}

// COMP-18
TEST(Weights, AMissingTensorIsNamedWithItsFile) {
  Weights w = some_weights();
  SKUA_EXPECT_ERROR((w.root() / "model" / "layers" / 3).take("weight"),
                    InvalidInput,
                    "[model.safetensors] tensor model.layers.3.weight is "
                    "missing");
}

// COMP-18
TEST(Weights, EachTensorIsTakenOnce) {
  Weights w = some_weights();
  const Scope norm = w.root() / "model" / "norm";
  EXPECT_TRUE(norm.has("weight"));
  norm.take("weight");
  EXPECT_FALSE(norm.has("weight"));
  EXPECT_THROW(norm.take("weight"), InvalidInput);
}

// COMP-18
TEST(Weights, UnusedTensorsAreNamedUpToFive) {
  Weights w = some_weights();
  SKUA_EXPECT_ERROR(w.check_all_taken(), InvalidInput,
                    "model.norm.weight, model.proj.weight");
  for (int i = 0; i < 9; ++i)
    w.add("extra." + std::to_string(i), mx::array(1.0f));
  SKUA_EXPECT_ERROR(w.check_all_taken(), InvalidInput,
                    "extra.0, extra.1, extra.2, extra.3, extra.4 and 6 more");
  w.ignore([](const std::string& name) { return name.starts_with("extra."); });
  w.take("model.norm.weight");
  w.take("model.proj.weight");
  EXPECT_NO_THROW(w.check_all_taken());
}

// COMP-18
TEST(Scope, AVectorOrMatrixOfAnotherShapeIsNamedWithBothShapes) {
  Weights w = some_weights();
  const Scope model = w.root() / "model";
  SKUA_EXPECT_ERROR((model / "norm").take_vector("weight", 4), InvalidInput,
                    "[model.safetensors: model.norm.weight] shape is [3], "
                    "expected [4]");
  SKUA_EXPECT_ERROR((model / "proj").take_matrix(3, 4), InvalidInput,
                    "[model.safetensors: model.proj.weight] shape is [4, 3], "
                    "expected [3, 4]");
}

TEST(Scope, AVectorIsCastToTheComputeType) {
  Weights w("file", mx::float32);
  w.add("a.bias", mx::array({1.5f, 2.5f}, mx::bfloat16));
  const mx::array bias = (w.root() / "a").take_vector("bias", 2);
  EXPECT_EQ(bias.dtype(), mx::float32);
  EXPECT_EQ(numbers(bias), (std::vector<float>{1.5f, 2.5f}));
}

TEST(Scope, AMatrixIsQuantisedByPresenceOfScalesAsItsPathSays) {
  Weights w("file", mx::float32);
  w.set_quantization("", {"affine", 4, 32});
  w.set_quantization("special", {"affine", 8, 64});
  w.set_quantization("micro", {"mxfp4", 4, 32});
  add_quantised(w, "plain", {"affine", 4, 32}, 3, 64);
  add_quantised(w, "special", {"affine", 8, 64}, 3, 64);
  add_quantised(w, "micro", {"mxfp4", 4, 32}, 3, 64);
  w.add("dense.weight", normal({3, 64}, 2));
  EXPECT_EQ((w.root() / "plain").take_matrix(3, 64).quantization.bits, 4);
  EXPECT_EQ((w.root() / "special").take_matrix(3, 64).quantization,
            (Quantization{"affine", 8, 64}));
  EXPECT_EQ((w.root() / "micro").take_matrix(3, 64).quantization.mode, "mxfp4");
  EXPECT_FALSE((w.root() / "dense").take_matrix(3, 64).quantised());
  EXPECT_NO_THROW(w.check_all_taken());
}

TEST(Scope, ScalesWithoutAQuantizationAreNamed) {
  Weights w("file", mx::float32);
  add_quantised(w, "a", {"affine", 4, 32}, 3, 64);
  SKUA_EXPECT_ERROR((w.root() / "a").take_matrix(3, 64), InvalidInput,
                    "[file] a has scales");
}

TEST(Scope, AQuantizationThatIsNotTheTensorsIsRefused) {
  for (const Quantization& other :
       {Quantization{"affine", 8, 32}, Quantization{"affine", 4, 64},
        Quantization{"mxfp4", 4, 32}}) {
    Weights w("file", mx::float32);
    w.set_quantization("", other);
    add_quantised(w, "a", {"affine", 4, 32}, 3, 64);
    EXPECT_THROW((w.root() / "a").take_matrix(3, 64), InvalidInput);
  }
}

TEST(Linear, AddsTheBiasWhereTheCheckpointHasOne) {
  const mx::array x = normal({2, 3}, 5);
  for (const bool has_bias : {false, true}) {
    Weights w = some_weights();
    const mx::array bias = mx::array({1.0f, -2.0f, 3.0f, -4.0f});
    if (has_bias) w.add("model.proj.bias", bias);
    const Linear layer(w.root() / "model" / "proj", 3, 4);
    auto want = mx::matmul(x, mx::transpose(normal({4, 3}, 1)));
    if (has_bias) want = mx::add(want, bias);
    EXPECT_LE(test::worst(numbers(layer(x)), numbers(want)), 1e-6);
  }
}

TEST(RmsNorm, AddsOneToAWeightStoredMinusOne) {
  Weights w("file", mx::float32);
  w.add("a.weight", mx::array({0.5f, -1.0f}));
  w.add("b.weight", mx::array({1.5f, 0.0f}));
  const RmsNorm minus_one(w.root() / "a", 2, 1e-6f,
                          RmsNorm::Stored::kWeightMinusOne);
  const RmsNorm plain(w.root() / "b", 2, 1e-6f);
  const mx::array x = normal({3, 2}, 1);
  EXPECT_EQ(numbers(minus_one(x)), numbers(plain(x)));
}

TEST(Embedding, IsItsOwnOutputHead) {
  Weights w("file", mx::float32);
  w.add("e.weight", normal({9, 4}, 1));
  const Embedding e(w.root() / "e", 9, 4);
  const mx::array ids = mx::array({8, 0}, mx::int32);
  const auto table = normal({9, 4}, 1);
  EXPECT_EQ(numbers(e(ids)), numbers(mx::take(table, ids, 0)));
  const mx::array x = normal({2, 4}, 2);
  EXPECT_LE(test::worst(numbers(e.as_linear(x)),
                        numbers(mx::matmul(x, mx::transpose(table)))),
            1e-6);
}

}  // namespace
}  // namespace skua
