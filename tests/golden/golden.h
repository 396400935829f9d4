#pragma once

#include <mlx/mlx.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "models/model.h"

namespace skua::test {

namespace mx = mlx::core;

/** The model of a folder with config.json and safetensors or of a GGUF file;
 *  activations in float32. */
std::unique_ptr<CausalLM> load_lm(const std::filesystem::path& path,
                                  Precision precision = Precision::kExact);

/** The numbers of a float32 array of any shape. */
std::vector<float> to_host(mx::array a);

/** Index of the largest number. */
std::int32_t argmax(const std::vector<float>& values);

}  // namespace skua::test
