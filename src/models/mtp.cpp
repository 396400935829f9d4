#include "models/mtp.h"

#include <mlx/mlx.h>

#include <charconv>
#include <string_view>

#include "kernels/primitive.h"
#include "models/model.h"
#include "skua/error.h"

namespace skua {
namespace {

// The number after "model.layers."; -1 where there is none.
std::int64_t layer_of(std::string_view name) {
  constexpr std::string_view kOuter = "language_model.",
                             kLayers = "model.layers.";
  if (name.starts_with(kOuter)) name.remove_prefix(kOuter.size());
  if (!name.starts_with(kLayers)) return -1;
  name.remove_prefix(kLayers.size());
  std::int64_t layer = -1;
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), layer);
  const bool whole =
      error == std::errc() && end != name.data() + name.size() && *end == '.';
  return whole ? layer : -1;
}

bool name_says_mtp(std::string_view name) {
  while (true) {
    if (name.starts_with("mtp.") || name.starts_with("mtp_")) return true;
    const std::size_t dot = name.find('.');
    if (dot == name.npos) return false;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

MtpHead::Step MtpHead::forward(const mx::array& ids, const mx::array& hidden,
                               const Batch& batch, Cache& cache) const {
  check_step(ids, batch, cache);
  if (hidden.shape() != mx::Shape{batch.n_rows(), dim()}) {
    throw InvalidInput(
        "forward", "hidden state is " + shape_text(hidden.shape()) +
                       ", expected [" + std::to_string(batch.n_rows()) + ", " +
                       std::to_string(dim()) + "]");
  }
  cache.begin(batch);
  Step made = step(ids, hidden, batch, cache.layer(0));
  made.logits = mx::astype(made.logits, mx::float32);
  cache.advance(batch);
  return made;
}

std::function<bool(const std::string&)> mtp_tensors(const Config& config) {
  const Config text =
      config.has("text_config") ? config.section("text_config") : config;
  const double n = text.number_or("num_nextn_predict_layers", 0);
  const std::int64_t begin = n > 0 ? text.size("num_hidden_layers") : 0;
  return [n, begin](const std::string& name) {
    if (name_says_mtp(name)) return true;
    const std::int64_t layer = layer_of(name);
    return layer >= begin && static_cast<double>(layer - begin) < n;
  };
}

}  // namespace skua
