#include "generate/oracle.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/oracle_scope.h"
#include "skua/error.h"

namespace skua {

mx::array Oracle::graph(std::span<const std::int32_t> ids) const {
  if (ids.empty()) throw InvalidInput("oracle", "there are no tokens");
  check_ids(ids, model_->vocab_size(), "oracle");
  const OracleScope scope;
  const auto n = static_cast<int>(ids.size());
  Cache unused = model_->make_cache();
  Batch batch;
  batch.add(unused.add_sequence(), 0, n);
  batch.want_last();
  return model_->forward(mx::array(ids.begin(), {n}, mx::int32), batch, unused);
}

std::vector<float> Oracle::logits(std::span<const std::int32_t> ids) const {
  mx::array row = mx::contiguous(graph(ids));
  row.eval();
  return {row.data<float>(), row.data<float>() + row.size()};
}

std::vector<double> Oracle::log_probabilities(
    std::span<const std::int32_t> ids) const {
  const std::vector<float> row = logits(ids);
  const double most = *std::ranges::max_element(row);
  double sum = 0;
  for (const float logit : row) sum += std::exp(logit - most);
  std::vector<double> scores;
  for (const float logit : row) scores.push_back(logit - most - std::log(sum));
  return scores;
}

}  // namespace skua
