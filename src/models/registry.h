#pragma once

#include <memory>

#include "models/model.h"

namespace skua {

/** Builders, one for each architecture file. Each takes every tensor that
 *  its model needs and drops those that checkpoints of its kind carry
 *  without use. */
std::unique_ptr<CausalLM> build_gemma3(const Config&, Weights&);
std::unique_ptr<CausalLM> build_gemma3_text(const Config&, Weights&);
std::unique_ptr<CausalLM> build_lfm2(const Config&, Weights&);
std::unique_ptr<CausalLM> build_llama(const Config&, Weights&);
std::unique_ptr<CausalLM> build_mamba2(const Config&, Weights&);
std::unique_ptr<CausalLM> build_mimo(const Config&, Weights&);
std::unique_ptr<CausalLM> build_qwen2(const Config&, Weights&);
std::unique_ptr<CausalLM> build_qwen3(const Config&, Weights&);
std::unique_ptr<CausalLM> build_qwen3_next(const Config&, Weights&);

}  // namespace skua
