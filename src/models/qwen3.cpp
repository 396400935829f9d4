// Qwen3: Llama with norms on the queries and keys of each head.
// Reference: mlx-lm models/qwen3.py.
#include "models/decoder.h"
#include "models/registry.h"
#include "skua/error.h"

namespace skua {

std::unique_ptr<CausalLM> build_qwen3(const Config& config, Weights& weights) {
  if (!config.has("rope_theta") && !config.has("rope_parameters"))
    throw InvalidInput(config.where(), "rope_theta is missing");
  return build_decoder(decoder_config(config, 1000000), weights);
}

}  // namespace skua
