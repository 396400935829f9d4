#include "generate/warm_up.h"

#include <mlx/mlx.h>

#include <vector>

#include "generate/session.h"

namespace skua {
namespace {

// Enough for the kernels of prompts, few enough not to take long.
constexpr int kTokens = 32;

}  // namespace

void warm_up(const CausalLM& model, std::shared_ptr<Cache> cache) {
  Session session(model, std::move(cache), 0);
  const std::vector<std::int32_t> ids(kTokens, 0);
  session.prefill(ids).eval();
  session.decode(0).eval();
}

}  // namespace skua
