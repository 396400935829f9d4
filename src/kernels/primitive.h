#pragma once

#include <mlx/backend/cpu/encoder.h>
#include <mlx/mlx.h>
#include <mlx/primitives.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/cpu_level.h"
#include "kernels/oracle_scope.h"
#include "skua/error.h"

namespace skua {

namespace mx = mlx::core;

/** True where ops without a stream of their own run on the CPU. */
inline bool runs_on_cpu() {
  return mx::default_device() == mx::Device::cpu;
}

/** True where our kernels compute: on the CPU, and not for an oracle. */
inline bool runs_kernels() {
  return runs_on_cpu() && !OracleScope::is_active();
}

/** What all nodes below have in common: their outputs are row-contiguous. */
class CpuKernel : public mx::Primitive {
 public:
  using Primitive::Primitive;
};

/** A CPU kernel as a node of MLX's graph. `Body` is called when the node is
 *  evaluated, on the thread that evaluates and before its inputs are
 *  computed: it takes their addresses, gives every output its memory, and
 *  returns the work, which runs later on the stream's thread. */
template <class Body>
class CpuPrimitive : public CpuKernel {
 public:
  CpuPrimitive(mx::Stream stream, const char* name, Body body)
      : CpuKernel(stream), name_(name), body_(std::move(body)) {}

  void eval_cpu(const std::vector<mx::array>& inputs,
                std::vector<mx::array>& outputs) override {
    mx::cpu::get_command_encoder(stream()).dispatch(body_(inputs, outputs));
  }
  void eval_gpu(const std::vector<mx::array>&,
                std::vector<mx::array>&) override {
    throw std::runtime_error(std::string("[") + name_ +
                             "] runs on the CPU alone");
  }
  const char* name() const override { return name_; }

 private:
  const char* name_;
  Body body_;
};

/** Throws InvalidInput where SKUA_CPU is no level at hand, Error inside an
 *  OracleScope, whose results no kernel may touch. */
template <class Body>
std::shared_ptr<mx::Primitive> cpu_primitive(const char* name, Body body) {
  static_cast<void>(cpu_level());
  if (OracleScope::is_active())
    throw Error(name, "is a kernel, which an oracle does without");
  return std::make_shared<CpuPrimitive<Body>>(
      mx::default_stream(mx::Device::cpu), name, std::move(body));
}

/** x itself where its memory is known to be row-contiguous once it is
 *  evaluated (results of our kernels and their reshapes are), else a node that
 *  makes it so. Every node that is spared is time at each step. */
mx::array row_contiguous(const mx::array& x);

/** Fresh memory for an output, row-contiguous. */
inline void allocate(mx::array& output) {
  output.set_data(mx::allocator::malloc(output.nbytes()));
}

/** "[2, 3]", for error texts. */
std::string shape_text(const mx::Shape& shape);

}  // namespace skua
