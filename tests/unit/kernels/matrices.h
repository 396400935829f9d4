#pragma once

#include <string>

#include "kernels/weight_matrix.h"
#include "tests/unit/kernels/numbers.h"

namespace skua::test {

struct MatrixKind {
  std::string mode;  // dense or a quantization's
  int bits = 0;
  int group_size = 0;
  mx::Dtype type = mx::float32;  // of dense values or affine scales

  std::string name() const {
    const std::string suffix = type == mx::float16    ? "f16"
                               : type == mx::bfloat16 ? "bf16"
                                                      : "f32";
    if (mode == "dense") return "dense_" + suffix;
    if (mode != "affine") return mode;
    return "affine" + std::to_string(bits) + "_group" +
           std::to_string(group_size) + "_" + suffix;
  }
};

inline std::vector<MatrixKind> all_matrix_kinds() {
  std::vector<MatrixKind> kinds = {
      {"mxfp4", 4, 32}, {"mxfp8", 8, 32}, {"nvfp4", 4, 16}};
  for (const mx::Dtype type : {mx::float32, mx::float16, mx::bfloat16}) {
    kinds.push_back({"dense", 0, 0, type});
    for (const int bits : {2, 3, 4, 5, 6, 8})
      for (const int group : {16, 32, 64, 128})
        kinds.push_back({"affine", bits, group, type});
  }
  return kinds;
}

/** A matrix [n, k] of the kind: as MLX quantises normal numbers; with random
 *  codes, scales of both signs and biases for groups of 16. */
inline WeightMatrix make_matrix(const MatrixKind& kind, int n, int k,
                                std::uint64_t seed) {
  const mx::array values = mx::astype(normal({n, k}, seed), kind.type);
  if (kind.mode == "dense") {
    mx::array w = mx::contiguous(values);
    w.eval();
    return {w, std::nullopt, std::nullopt, {}};
  }
  const Quantization q{kind.mode, kind.bits, kind.group_size};
  std::vector<mx::array> parts;
  if (kind.mode == "affine" && kind.group_size == 16) {
    const mx::Shape groups = {n, k / 16};
    parts = {
        mx::random::bits({n, k * kind.bits / 32}, 4, mx::random::key(seed)),
        mx::astype(normal(groups, seed + 1, 0.1f), kind.type),
        mx::astype(normal(groups, seed + 2), kind.type)};
  } else {
    // Rows for MLX to count in whole words, which it needs.
    const mx::array more =
        mx::concatenate({values, mx::zeros({n % 2, k}, kind.type)}, 0);
    for (const mx::array& part :
         mx::quantize(more, kind.group_size, kind.bits, kind.mode))
      parts.push_back(mx::slice(part, {0, 0}, {n, part.shape(1)}));
  }
  for (mx::array& part : parts) part = mx::contiguous(part);
  mx::eval(parts);
  WeightMatrix w{parts[0], parts[1], std::nullopt, q};
  if (parts.size() > 2) w.biases = parts[2];
  return w;
}

/** Widths [K] that the kind can have and that strain the kernels: of no
 *  whole vector or panel where possible, the last with more groups than a sum
 *  is split into. */
inline std::vector<int> widths(const MatrixKind& kind) {
  if (kind.mode == "dense") return {1, 7, 48, 80, 129};
  std::vector<int> fitting;
  for (const int n_groups : {1, 3, 5, 6, 18})
    if (n_groups * kind.group_size * kind.bits % 32 == 0)
      fitting.push_back(n_groups * kind.group_size);
  return fitting;
}

}  // namespace skua::test
