#include "nn/weights.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "base/memory.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

std::string type_name(mx::Dtype type) {
  std::ostringstream out;
  out << type;
  return out.str();
}

// What MLX's own products read.
void to_gpu_layout(WeightMatrix& w, mx::Dtype compute) {
  if (!w.quantised() || !is_mlx_layout(w)) {
    w = {mx::astype(dequantize(w), compute), std::nullopt, std::nullopt, {}};
  } else if (w.biases) {
    // One type throughout, or MLX would widen the activations.
    w.scales = mx::astype(*w.scales, compute);
    w.biases = mx::astype(*w.biases, compute);
  }
}

}  // namespace

void Weights::add(const std::string& name, mx::array tensor) {
  if (!tensors_.emplace(name, std::move(tensor)).second)
    throw InvalidInput(source_, "tensor " + name + " comes twice");
}

void Weights::add_mapped(const std::string& name, mx::array tensor,
                         const MappedFile& file,
                         std::span<const std::byte> bytes) {
  add(name, std::move(tensor));
  if (mover_) mapped_.insert_or_assign(name, MappedPart{file, bytes});
}

void Weights::move(const std::string& path, WeightMatrix& matrix) {
  for (const char* leaf : {".weight", ".scales", ".biases"}) {
    const auto part = mapped_.extract(path + leaf);
    if (!part) continue;
    const auto moving = mover_->add(part.mapped().file, part.mapped().bytes);
    if (!matrix.moving) matrix.moving = moving;
  }
}

void Weights::set_quantization(const std::string& path,
                               Quantization quantization) {
  quantizations_.insert_or_assign(path, std::move(quantization));
}

const Quantization& Weights::quantization(const std::string& path) const {
  auto found = quantizations_.find(path);
  if (found == quantizations_.end()) found = quantizations_.find("");
  if (found == quantizations_.end()) {
    throw InvalidInput(source_, path +
                                    " has scales, but the configuration says "
                                    "nothing of a quantization");
  }
  return found->second;
}

mx::array Weights::take(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw InvalidInput(source_, "tensor " + name +
                                    " is missing; the checkpoint is not whole "
                                    "or its configuration is another's");
  }
  mx::array tensor = std::move(found->second);
  tensors_.erase(found);
  audit_.used.push_back(
      {name, tensor.shape(), type_name(tensor.dtype()), tensor.nbytes()});
  return tensor;
}

bool Weights::has(
    const std::function<bool(const std::string&)>& matches) const {
  return std::ranges::any_of(
      tensors_, [&](const auto& entry) { return matches(entry.first); });
}

void Weights::ignore(const std::function<bool(const std::string&)>& matches) {
  std::erase_if(tensors_, [&](const auto& entry) {
    if (!matches(entry.first)) return false;
    audit_.hidden.push_back(entry.first);
    return true;
  });
}

void Weights::note(const std::string& path, const WeightMatrix& matrix) {
  std::size_t n_bytes = matrix.weight.nbytes();
  if (matrix.scales) n_bytes += matrix.scales->nbytes();
  if (matrix.biases) n_bytes += matrix.biases->nbytes();
  audit_.matrices.push_back({path, format_of(matrix), n_bytes});
}

TensorAudit Weights::audit() const {
  TensorAudit audit = audit_;
  for (const auto& [name, tensor] : tensors_) audit.unused.push_back(name);
  return audit;
}

void Weights::check_all_taken() const {
  if (tensors_.empty()) return;
  std::string names;
  std::size_t n_named = 0;
  for (const auto& [name, tensor] : tensors_) {
    if (n_named == 5) {
      names += " and " + std::to_string(tensors_.size() - n_named) + " more";
      break;
    }
    names += (n_named++ != 0 ? ", " : "") + name;
  }
  throw InvalidInput(source_,
                     "holds tensors that the model does not use: " + names +
                         "; its configuration is another's or not supported");
}

Scope Weights::root() {
  return Scope(*this, "");
}

Scope Scope::operator/(const std::string& name) const {
  return Scope(*weights_, path_.empty() ? name : path_ + "." + name);
}

bool Scope::has(const std::string& name) const {
  return weights_->has((*this / name).path());
}

mx::array Scope::take(const std::string& name) const {
  return weights_->take((*this / name).path());
}

mx::array Scope::take_vector(const std::string& name, int size,
                             mx::Dtype type) const {
  const mx::array tensor = take(name);
  if (tensor.shape() != mx::Shape{size}) {
    throw InvalidInput((*this / name).where(),
                       "shape is " + shape_text(tensor.shape()) +
                           ", expected [" + std::to_string(size) + "]");
  }
  return mx::astype(tensor, type);
}

WeightMatrix Scope::take_parts() const {
  WeightMatrix w{
      take("weight"), std::nullopt, std::nullopt, {}, weights_->precision()};
  if (has("scales")) {
    w.quantization = weights_->quantization(path_);
    w.scales = take("scales");
    if (has("biases")) w.biases = take("biases");
  }
  weights_->move(path_, w);
  return w;
}

WeightMatrix Scope::take_matrix(int rows, int cols) const {
  WeightMatrix w = take_parts();
  w.check(where(), rows, cols);
  if (!runs_on_cpu()) to_gpu_layout(w, compute());
  weights_->note(path_, w);
  return w;
}

ExpertMatrices Scope::take_experts(int n_experts, int rows, int cols) const {
  ExpertMatrices w =
      expert_matrices(where(), take_parts(), n_experts, rows, cols);
  if (!runs_on_cpu()) to_gpu_layout(w.all, compute());
  weights_->note(path_, w.all);
  return w;
}

}  // namespace skua
