#pragma once

namespace skua {

/** While one lives, the functions of kernels/ that this thread calls build
 *  graphs of MLX's plain operations alone: in float32, with weights decoded
 *  by dequantize(), without a kernel of ours, a fused operation of MLX or a
 *  cache. What is slow and simple, to compare with. */
class OracleScope {
 public:
  OracleScope() { ++depth(); }
  ~OracleScope() { --depth(); }
  OracleScope(const OracleScope&) = delete;
  OracleScope& operator=(const OracleScope&) = delete;

  static bool is_active() { return depth() > 0; }

 private:
  static int& depth() {
    static thread_local int depth = 0;
    return depth;
  }
};

}  // namespace skua
