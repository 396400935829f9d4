// Llama 2 and 3, SmolLM2, Mistral. Reference: mlx-lm models/llama.py.
#include "models/decoder.h"
#include "models/registry.h"
#include "skua/error.h"

namespace skua {
namespace {

// Layers that layer_types calls sliding see sliding_window positions; without
// layer_types all see everything, also where Mistral names a window.
void read_layer_types(const Config& config, DecoderConfig& decoder) {
  const Json* types = config.find("layer_types");
  if (types == nullptr) return;
  if (!types->is_array() || types->size() != decoder.sliding.size()) {
    throw InvalidInput(config.where(),
                       "layer_types is expected to be a list of " +
                           std::to_string(decoder.sliding.size()));
  }
  for (std::size_t i = 0; i < types->size(); ++i) {
    if ((*types)[i] == "sliding_attention") {
      decoder.sliding[i] = true;
      decoder.attention.window = config.size("sliding_window");
    } else if ((*types)[i] != "full_attention") {
      throw Unsupported(config.where(),
                        "layer_types holds " + dump_json((*types)[i]) +
                            ", expected full_attention or sliding_attention");
    }
  }
}

}  // namespace

std::unique_ptr<CausalLM> build_llama(const Config& config, Weights& weights) {
  DecoderConfig decoder = decoder_config(config, 10000);
  read_layer_types(config, decoder);
  return build_decoder(decoder, weights);
}

}  // namespace skua
