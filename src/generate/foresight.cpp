#include "generate/foresight.h"

#include <mlx/mlx.h>

#include <span>
#include <utility>

#include "base/thread_pool.h"
#include "kernels/primitive.h"

namespace skua {

bool foresees_draws() {
  return runs_kernels();
}

mx::array foresee(const mx::array& logits, std::vector<Foresight> rows) {
  if (!foresees_draws()) return mx::astype(mx::argmax(logits, -1), mx::int32);
  const int n_rows = logits.shape(0);
  auto body = [rows = std::move(rows)](const std::vector<mx::array>& in,
                                       std::vector<mx::array>& out) {
    allocate(out[0]);
    return [rows, x = in[0].data<float>(),
            vocab_size = static_cast<std::size_t>(in[0].shape(1)),
            ids = out[0].data<std::int32_t>()] {
      parallel_for(rows.size(), [&](std::size_t i) {
        const std::span logits(x + i * vocab_size, vocab_size);
        ids[i] = rows[i].sampler->foresee(logits, rows[i].step);
      });
    };
  };
  return mx::array({n_rows}, mx::int32,
                   cpu_primitive("foresee", std::move(body)),
                   {row_contiguous(logits)});
}

}  // namespace skua
