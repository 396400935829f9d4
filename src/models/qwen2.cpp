// Qwen2 and Qwen2.5: Llama with biases on queries, keys and values.
// Reference: mlx-lm models/qwen2.py.
#include "models/decoder.h"
#include "models/registry.h"

namespace skua {

std::unique_ptr<CausalLM> build_qwen2(const Config& config, Weights& weights) {
  return build_decoder(decoder_config(config, 1000000), weights);
}

}  // namespace skua
