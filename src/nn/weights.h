#pragma once

#include <mlx/array.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/experts.h"
#include "kernels/weight_matrix.h"
#include "nn/huge_pages.h"

namespace skua {

class Scope;

/** What became of the tensors of a checkpoint, under their canonical names. */
struct TensorAudit {
  struct Matrix {
    std::string path;        // "model.layers.0.mlp.up_proj"
    cpu::MatrixView format;  // as it is multiplied; without memory
    std::size_t n_bytes;     // in memory, with scales and biases
  };
  struct Tensor {
    std::string name;
    mx::Shape shape;
    std::string type;
    std::size_t n_bytes;
  };
  std::vector<Matrix> matrices;     // that layers took
  std::vector<Tensor> used;         // those of matrices among them
  std::vector<std::string> hidden;  // known, and not for this model
  std::vector<std::string> unused;  // left over
};

/** How a model computes. */
struct Numerics {
  Numerics(mx::Dtype compute, Precision precision = Precision::kExact)
      : compute(compute), precision(precision) {}

  mx::Dtype compute;    // of activations; norms and biases are cast to it
  Precision precision;  // of products with matrices, on CPU
};

/** The named tensors of one checkpoint and how they are quantised. Lives
 *  while a model is built from it; every tensor is taken exactly once. */
class Weights {
 public:
  /** source  file or folder, for errors */
  Weights(std::string source, const Numerics& numerics)
      : source_(std::move(source)), numerics_(numerics) {}

  /** Throws InvalidInput for a name that is there already. */
  void add(const std::string& name, mx::array tensor);
  /** The same for a tensor whose bytes lie in a mapped file. */
  void add_mapped(const std::string& name, mx::array tensor,
                  const MappedFile& file, std::span<const std::byte> bytes);

  /** Quantisation of the tensors under `path` ("" is that of all others). */
  void set_quantization(const std::string& path, Quantization quantization);
  /** Of the layer at `path`. Throws InvalidInput where none is known. */
  const Quantization& quantization(const std::string& path) const;

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /** Removes and returns a tensor. Throws InvalidInput where it is missing,
   *  naming it. */
  mx::array take(const std::string& name);
  /** Whether there is one whose name `matches`. */
  bool has(const std::function<bool(const std::string&)>& matches) const;
  /** Drops the tensors whose name `matches`. */
  void ignore(const std::function<bool(const std::string&)>& matches);
  /** Counts a tensor that is not read at all among those dropped. */
  void hide(const std::string& name) { audit_.hidden.push_back(name); }
  void note(const std::string& path, const WeightMatrix& matrix);
  /** Has the mapped tensors of a matrix moved. */
  void move(const std::string& path, WeightMatrix& matrix);
  TensorAudit audit() const;
  /** Moves the weights of matrices to huge pages where these are wanted, once
   *  it is started. Null where they are not. */
  std::unique_ptr<WeightMover> take_mover() { return std::move(mover_); }
  /** Throws InvalidInput that names the tensors nobody took. */
  void check_all_taken() const;

  Scope root();
  const std::string& source() const { return source_; }
  mx::Dtype compute() const { return numerics_.compute; }
  Precision precision() const { return numerics_.precision; }

 private:
  std::string source_;
  Numerics numerics_;
  std::map<std::string, mx::array> tensors_;
  struct MappedPart {
    MappedFile file;
    std::span<const std::byte> bytes;
  };
  std::map<std::string, MappedPart> mapped_;
  std::unique_ptr<WeightMover> mover_ =
      wants_huge_pages() ? std::make_unique<WeightMover>() : nullptr;
  std::map<std::string, Quantization> quantizations_;
  TensorAudit audit_;  // but for what is left over
};

/** A place in the tree of names, such as model.layers.0.self_attn. */
class Scope {
 public:
  Scope(Weights& weights, std::string path)
      : weights_(&weights), path_(std::move(path)) {}

  Scope operator/(const std::string& name) const;
  Scope operator/(int index) const { return *this / std::to_string(index); }

  const std::string& path() const { return path_; }
  /** "file: path", for errors. */
  std::string where() const { return weights_->source() + ": " + path_; }
  mx::Dtype compute() const { return weights_->compute(); }

  bool has(const std::string& name) const;
  mx::array take(const std::string& name) const;
  /** A vector of `size` numbers, cast to the compute type or another.
   *  Throws InvalidInput if it is missing or of another shape. */
  mx::array take_vector(const std::string& name, int size) const {
    return take_vector(name, size, compute());
  }
  mx::array take_vector(const std::string& name, int size,
                        mx::Dtype type) const;
  /** The weight matrix [rows, cols] here, dense or quantised by presence of
   *  `scales`. Throws InvalidInput, Unsupported. */
  WeightMatrix take_matrix(int rows, int cols) const;
  /** The same for experts that lie stacked here, [n_experts, rows, cols]. */
  ExpertMatrices take_experts(int n_experts, int rows, int cols) const;

 private:
  WeightMatrix take_parts() const;

  Weights* weights_;
  std::string path_;
};

}  // namespace skua
