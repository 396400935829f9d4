#include "models/registry.h"

#include <array>

#include "models/model.h"
#include "skua/error.h"

namespace skua {
namespace {

// One line for each model_type.
const std::array kArchitectures = {
    Architecture{"gemma3", build_gemma3},
    Architecture{"gemma3_text", build_gemma3_text},
    Architecture{"lfm2", build_lfm2},
    Architecture{"llama", build_llama},
    Architecture{"mamba2", build_mamba2},
    Architecture{"mimo", build_mimo},
    Architecture{"mistral", build_llama},
    Architecture{"qwen2", build_qwen2},
    Architecture{"qwen3", build_qwen3},
    Architecture{"qwen3_next", build_qwen3_next},
};

}  // namespace

const Architecture& find_architecture(const std::string& model_type,
                                      const std::string& where) {
  std::string known;
  for (const Architecture& a : kArchitectures) {
    if (a.name == model_type) return a;
    known += (known.empty() ? "" : ", ") + a.name;
  }
  throw Unsupported(
      where, "model_type is " + model_type + ", expected one of " + known);
}

}  // namespace skua
