#include "kernels/weight_matrix.h"

#include <mlx/mlx.h>

#include <cmath>

#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {

namespace {

bool is_float(mx::Dtype dtype) {
  return dtype == mx::float32 || dtype == mx::float16 || dtype == mx::bfloat16;
}

cpu::Float float_type(mx::Dtype dtype) {
  if (dtype == mx::float16) return cpu::Float::kF16;
  if (dtype == mx::bfloat16) return cpu::Float::kBF16;
  return cpu::Float::kF32;
}

cpu::Encoding encoding(const WeightMatrix& w) {
  if (!w.quantised()) return cpu::Encoding::kDense;
  if (w.quantization.mode == "mxfp4") return cpu::Encoding::kMxfp4;
  if (w.quantization.mode == "mxfp8") return cpu::Encoding::kMxfp8;
  if (w.quantization.mode == "nvfp4") return cpu::Encoding::kNvfp4;
  return cpu::Encoding::kAffine;
}

// The codes of w as int32 [N, K], from little-endian fields of `bits` bits
// that may straddle the packed words.
mx::array unpack_codes(const WeightMatrix& w) {
  const int bits = w.quantization.bits;
  const int n = w.rows();
  const int k = w.cols();
  const auto first_bit = mx::multiply(mx::arange(k), mx::array(bits));
  const auto word = mx::floor_divide(first_bit, mx::array(32));
  const auto shift =
      mx::astype(mx::remainder(first_bit, mx::array(32)), mx::uint64);
  const auto zero = mx::zeros({n, 1}, mx::uint32);
  const auto words = mx::concatenate({w.weight, zero}, 1);
  const auto low = mx::astype(mx::take(words, word, 1), mx::uint64);
  const auto high =
      mx::astype(mx::take(words, mx::add(word, mx::array(1)), 1), mx::uint64);
  const auto both =
      mx::bitwise_or(low, mx::left_shift(high, mx::array(32, mx::uint64)));
  const auto mask = mx::array((1 << bits) - 1, mx::uint64);
  return mx::astype(mx::bitwise_and(mx::right_shift(both, shift), mask),
                    mx::int32);
}

}  // namespace

void Quantization::check(const std::string& where) const {
  bool known = false;
  if (mode == "affine") {
    known = (group_size == 16 || group_size == 32 || group_size == 64 ||
             group_size == 128) &&
            bits >= 2 && bits <= 8 && bits != 7;
  } else if (mode == "mxfp4" || mode == "mxfp8") {
    known = group_size == 32 && bits == (mode == "mxfp4" ? 4 : 8);
  } else if (mode == "nvfp4") {
    known = group_size == 16 && bits == 4;
  }
  if (!known) {
    throw Unsupported(
        where, "quantization is " + mode + " with " + std::to_string(bits) +
                   " bits in groups of " + std::to_string(group_size) +
                   ", expected affine with 2, 3, 4, 5, 6 or 8 bits in groups "
                   "of 16, 32, 64 or 128, mxfp4, mxfp8 or nvfp4");
  }
}

int WeightMatrix::cols() const {
  const auto packed = static_cast<std::int64_t>(weight.shape(1));
  return static_cast<int>(quantised() ? packed * 32 / quantization.bits
                                      : packed);
}

void WeightMatrix::check(const std::string& where, int rows, int cols) const {
  const auto expect = [&](const std::string& part, const mx::array& a,
                          const mx::Shape& shape) {
    if (a.shape() != shape) {
      throw InvalidInput(where + part, "shape is " + shape_text(a.shape()) +
                                           ", expected " + shape_text(shape));
    }
  };
  if (!quantised()) {
    expect(".weight", weight, {rows, cols});
    if (!is_float(weight.dtype())) {
      throw InvalidInput(where + ".weight",
                         "dtype is not float32, float16 or bfloat16, and "
                         "there are no scales");
    }
    return;
  }
  quantization.check(where);
  const int group = quantization.group_size;
  if (cols % group != 0) {
    throw InvalidInput(where, std::to_string(cols) +
                                  " columns are no multiple of the group of " +
                                  std::to_string(group));
  }
  const std::int64_t n_bits = std::int64_t{cols} * quantization.bits;
  if (n_bits % 32 != 0) {
    throw InvalidInput(where, std::to_string(cols) + " columns of " +
                                  std::to_string(quantization.bits) +
                                  " bits do not fill whole words");
  }
  const int words = static_cast<int>(n_bits / 32);
  expect(".weight", weight, {rows, words});
  expect(".scales", *scales, {rows, cols / group});
  const bool affine = quantization.mode == "affine";
  if (affine != biases.has_value()) {
    throw InvalidInput(where + ".biases",
                       affine ? "is missing, expected with affine scales"
                              : "is not expected with " + quantization.mode);
  }
  if (affine) expect(".biases", *biases, {rows, cols / group});
  const bool types_fit =
      weight.dtype() == mx::uint32 &&
      (affine ? is_float(scales->dtype()) && biases->dtype() == scales->dtype()
              : scales->dtype() == mx::uint8);
  if (!types_fit) {
    throw InvalidInput(where,
                       "dtypes of weight, scales and biases do not fit "
                       "the quantization " +
                           quantization.mode);
  }
}

bool is_mlx_layout(const WeightMatrix& w) {
  return w.quantised() &&
         !(w.quantization.mode == "affine" && w.quantization.group_size == 16);
}

mx::array dequantize(const WeightMatrix& w) {
  if (!w.quantised()) return mx::astype(w.weight, mx::float32);
  const Quantization& q = w.quantization;
  if (q.mode != "affine") {
    return mx::dequantize(w.weight, *w.scales, std::nullopt, q.group_size,
                          q.bits, q.mode, std::nullopt, mx::float32);
  }
  const mx::Shape grouped = {w.rows(), w.cols() / q.group_size, q.group_size};
  const auto codes =
      mx::astype(mx::reshape(unpack_codes(w), grouped), mx::float32);
  const auto per_group = [](const mx::array& a) {
    return mx::expand_dims(mx::astype(a, mx::float32), 2);
  };
  const auto values =
      mx::add(mx::multiply(codes, per_group(*w.scales)), per_group(*w.biases));
  return mx::reshape(values, {w.rows(), w.cols()});
}

cpu::MatrixView format_of(const WeightMatrix& w) {
  cpu::MatrixView v;
  v.encoding = encoding(w);
  v.n_rows = static_cast<std::size_t>(w.rows());
  v.n_cols = static_cast<std::size_t>(w.cols());
  v.precision = w.precision;
  if (!w.quantised()) {
    v.float_type = float_type(w.weight.dtype());
    v.bits = static_cast<int>(w.weight.itemsize()) * 8;
    return v;
  }
  v.bits = w.quantization.bits;
  v.group_size = w.quantization.group_size;
  if (w.biases) v.float_type = float_type(w.scales->dtype());
  return v;
}

std::string format_name(const cpu::MatrixView& format) {
  switch (format.encoding) {
    case cpu::Encoding::kDense:
      if (format.float_type == cpu::Float::kF16) return "float16";
      return format.float_type == cpu::Float::kBF16 ? "bfloat16" : "float32";
    case cpu::Encoding::kMxfp4:
      return "mxfp4";
    case cpu::Encoding::kMxfp8:
      return "mxfp8";
    case cpu::Encoding::kNvfp4:
      return "nvfp4";
    case cpu::Encoding::kAffine:
      break;
  }
  return "affine, " + std::to_string(format.bits) + " bits in groups of " +
         std::to_string(format.group_size);
}

cpu::MatrixView view(const WeightMatrix& w) {
  const auto bytes = [&](const mx::array& a) {
    const auto* data = reinterpret_cast<const std::byte*>(a.data<char>());
    if (w.moving) data = w.moving->now(data, a.nbytes());
    return reinterpret_cast<const std::uint8_t*>(data);
  };
  cpu::MatrixView v = format_of(w);
  v.values = bytes(w.weight);
  if (w.scales) v.scales = bytes(*w.scales);
  if (w.biases) v.biases = bytes(*w.biases);
  return v;
}

}  // namespace skua
