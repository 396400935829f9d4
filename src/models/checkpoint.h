#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "base/gguf.h"
#include "models/config.h"
#include "nn/weights.h"

namespace skua {

/** Called while a checkpoint is read; done and total count bytes. */
using LoadProgress =
    std::function<void(std::uint64_t done, std::uint64_t total)>;

/** What a checkpoint's files hold, for people. */
struct CheckpointInfo {
  std::string format;  // "safetensors", "GGUF"
  std::uint64_t n_parameters = 0;
  std::uint64_t n_bytes = 0;                             // of the weights
  std::map<std::string, std::uint64_t> n_bytes_by_type;  // "Q4_1", "BF16"
};

/** Configuration and weights under their canonical (Hugging Face) names. */
struct Checkpoint {
  Config config;
  Weights weights;
  CheckpointInfo info;
};

/** A Hugging Face or MLX folder: config.json and safetensors, used in place.
 *  with_mtp  adds the tensors of heads (models/mtp.h), else they are hidden
 *  Throws NotFound, InvalidInput, Unsupported (quantisation method). */
Checkpoint open_folder(const std::filesystem::path& folder,
                       const Numerics& numerics,
                       const LoadProgress& progress = {},
                       bool with_mtp = false);

/** A GGUF file. Blocks are repacked without loss into affine layouts; Q and K
 *  rows of llama files are put back into the half-split order. Blocks of heads
 *  (nextn_predict_layers) are hidden.
 *  Throws InvalidInput, Unsupported. */
Checkpoint open_gguf(const GgufFile& file, const Numerics& numerics,
                     const LoadProgress& progress);

/** The config.json that fits the file's metadata.
 *  Throws Unsupported for an architecture that is not known. */
Config gguf_config(const GgufFile& file);

}  // namespace skua
