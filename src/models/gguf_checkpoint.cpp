#include <mlx/mlx.h>

#include <charconv>
#include <limits>

#include "base/aligned_buffer.h"
#include "models/checkpoint.h"
#include "models/gguf_names.h"
#include "nn/ggml_blocks.h"
#include "nn/shared_array.h"
#include "skua/error.h"

namespace skua {
namespace {

std::int64_t n_elements(const GgufTensor& tensor) {
  std::int64_t n = 1;
  for (const std::int64_t d : tensor.shape) n *= d;
  return n;
}

// Source row of each row of Q or K: heads of (0, d/2, 1, d/2 + 1, ...) back
// to (0, 1, ..., d/2, d/2 + 1, ...).
std::vector<std::int64_t> half_split_order(std::int64_t rows, int head_dim,
                                           const std::string& where) {
  if (rows % head_dim != 0 || head_dim % 2 != 0) {
    throw InvalidInput(where, std::to_string(rows) +
                                  " rows, expected a multiple of an even "
                                  "head_dim, which is " +
                                  std::to_string(head_dim));
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t i = row % head_dim;
    const std::int64_t half = head_dim / 2;
    order[static_cast<std::size_t>(row)] =
        row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
  }
  return order;
}

mx::Dtype dense_dtype(GgmlType type) {
  if (type == GgmlType::kF16) return mx::float16;
  if (type == GgmlType::kBF16) return mx::bfloat16;
  return mx::float32;
}

mx::array adopt(AlignedBuffer buffer, const mx::Shape& shape, mx::Dtype dtype) {
  const auto owner = std::make_shared<AlignedBuffer>(std::move(buffer));
  return share_array(owner->data(), shape, dtype, owner);
}

class TensorLoader {
 public:
  TensorLoader(const GgufFile& file, int head_dim, bool interleaved_rows,
               Weights& weights)
      : file_(file),
        head_dim_(head_dim),
        interleaved_rows_(interleaved_rows),
        weights_(weights) {}

  void load(const GgufTensor& tensor, const CanonicalName& name) {
    const std::string where = file_.path().string() + " " + tensor.name;
    if (tensor.shape.empty() || tensor.shape.size() > 2) {
      throw InvalidInput(where, std::to_string(tensor.shape.size()) +
                                    " dimensions, expected 1 or 2");
    }
    for (const std::int64_t n : tensor.shape) {
      if (n > std::numeric_limits<int>::max())
        throw Unsupported(where, "a dimension is 2^31 or more");
    }
    std::vector<std::int64_t> order;
    if (name.transform == GgufTransform::kRotaryRows && interleaved_rows_)
      order = half_split_order(tensor.shape[0], head_dim_, where);
    const bool blocks = ggml_affine_format(tensor.type).has_value();
    const bool is_matrix = name.transform != GgufTransform::kTaps;
    if (blocks && is_matrix && tensor.shape.size() == 2) {
      try {
        add_affine(tensor, name, order);
      } catch (const InvalidInput& error) {
        throw InvalidInput(where, std::string(error.what()) +
                                      "; the file is damaged, get it again");
      }
    } else {
      add_dense(tensor, name, order);
    }
  }

 private:
  void add_affine(const GgufTensor& tensor, const CanonicalName& name,
                  std::span<const std::int64_t> order) {
    const auto rows = tensor.shape[0];
    const auto cols = tensor.shape[1];
    AffineTensor affine =
        ggml_to_affine(tensor.type, tensor.data, rows, cols, order);
    // From here on the copy is used.
    file_.file().drop_pages(tensor.data);
    const auto [bits, group, f32_scales] = affine.format;
    const auto shape = [&](std::int64_t width) {
      return mx::Shape{static_cast<int>(rows), static_cast<int>(width)};
    };
    const auto scale_type = f32_scales ? mx::float32 : mx::float16;
    weights_.set_quantization(name.path, {"affine", bits, group});
    weights_.add(
        name.path + ".weight",
        adopt(std::move(affine.packed), shape(cols * bits / 32), mx::uint32));
    weights_.add(name.path + ".scales", adopt(std::move(affine.scales),
                                              shape(cols / group), scale_type));
    weights_.add(name.path + ".biases", adopt(std::move(affine.biases),
                                              shape(cols / group), scale_type));
  }

  void add_dense(const GgufTensor& tensor, const CanonicalName& name,
                 std::span<const std::int64_t> order) {
    mx::Shape shape;
    for (const std::int64_t n : tensor.shape)
      shape.push_back(static_cast<int>(n));
    // Vectors lie between the matrices: mapped, they would keep the huge pages
    // around them.
    const bool copied =
        ggml_affine_format(tensor.type) || tensor.shape.size() == 1;
    mx::array array =
        copied ? mx::array(ggml_decode(tensor).begin(), shape)
               : share_array(tensor.data.data(), shape,
                             dense_dtype(tensor.type), file_.file().owner());
    if (copied) file_.file().drop_pages(tensor.data);
    if (!order.empty()) {
      const auto n = static_cast<int>(order.size());
      array = mx::take(array, mx::array(order.begin(), {n}, mx::int64), 0);
      array.eval();
    }
    if (name.transform == GgufTransform::kMinusOne)
      array = mx::subtract(mx::astype(array, mx::float32), mx::array(1.0f));
    if (name.transform == GgufTransform::kTaps)
      array = mx::expand_dims(array, -1);
    const std::string place = name.path + "." + name.leaf;
    if (copied || !order.empty())
      weights_.add(place, std::move(array));
    else
      weights_.add_mapped(place, std::move(array), file_.file(), tensor.data);
  }

  const GgufFile& file_;
  int head_dim_;
  bool interleaved_rows_;
  Weights& weights_;
};

// Whether the tensor is of a block from the first_head-th on.
bool is_of_heads(std::string_view name, std::int64_t first_head) {
  constexpr std::string_view kBlock = "blk.";
  if (!name.starts_with(kBlock)) return false;
  std::int64_t block = -1;
  std::from_chars(name.data() + kBlock.size(), name.data() + name.size(),
                  block);
  return block >= first_head;
}

}  // namespace

Checkpoint open_gguf(const GgufFile& file, const Numerics& numerics,
                     const LoadProgress& progress) {
  const GgufArchitecture& arch = gguf_architecture(file);
  Checkpoint checkpoint{
      gguf_config(file), Weights(file.path().string(), numerics), {}};
  CheckpointInfo& info = checkpoint.info;
  info.format = "GGUF";
  for (const GgufTensor& tensor : file.tensors())
    info.n_bytes += tensor.data.size();

  TensorLoader loader(file, head_dim(checkpoint.config), arch.interleaved_rows,
                      checkpoint.weights);
  const int first_head = checkpoint.config.has("num_nextn_predict_layers")
                             ? checkpoint.config.size("num_hidden_layers")
                             : std::numeric_limits<int>::max();
  std::uint64_t done = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    info.n_parameters += static_cast<std::uint64_t>(n_elements(tensor));
    info.n_bytes_by_type[std::string(ggml_type_info(tensor.type).name)] +=
        tensor.data.size();
    if (is_of_heads(tensor.name, first_head)) {
      checkpoint.weights.hide(tensor.name);
    } else if (tensor.name != kGgufRopeFactors) {
      const auto name = canonical_name(tensor.name, arch);
      if (!name) {
        throw Unsupported(file.path().string(), "tensor " + tensor.name +
                                                    " is not part of " +
                                                    std::string(arch.name));
      }
      loader.load(tensor, *name);
    }
    done += tensor.data.size();
    if (progress) progress(done, info.n_bytes);
  }
  return checkpoint;
}

}  // namespace skua
