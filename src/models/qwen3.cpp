// Qwen3: Llama with norms on the queries and keys of each head.
// Reference: mlx-lm models/qwen3.py.
#include "models/decoder.h"
#include "models/registry.h"
#include "skua/error.h"

namespace skua {

std::unique_ptr<CausalLM> build_qwen3(const Config& config, Weights& weights) {
  if (!config.has("rope_theta") && !config.has("rope_parameters"))
    throw InvalidInput(config.where(), "rope_theta is missing");
  const DecoderConfig decoder = decoder_config(config, 1000000);
  weights.ignore([&](const std::string& name) {
    return is_decoder_leftover(name, decoder.tied);
  });
  return std::make_unique<Decoder>(decoder, weights.root());
}

}  // namespace skua
