#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/gguf.h"

namespace skua {

/** What a GGUF file does to a tensor of a checkpoint, to be undone. */
enum class GgufTransform {
  kNone,
  kRotaryRows,  // llama files interleave the halves of Q's and K's heads
  kMinusOne,    // gemma files hold 1 + w, checkpoints w
  kTaps,        // [channels, taps], which checkpoints hold with a 1 behind
};

struct GgufNameRow;

/** How an architecture is written into GGUF files. */
struct GgufArchitecture {
  std::string_view name;
  std::string_view model_type;
  bool interleaved_rows;
  std::span<const GgufNameRow> own;  // the rest is common to all
};

/** That of the file. Throws Unsupported for one that is not known. */
const GgufArchitecture& gguf_architecture(const GgufFile& file);

struct CanonicalName {
  std::string path;  // without .weight or .bias
  std::string leaf;
  GgufTransform transform;
};

/** "blk.3.attn_q.weight" -> {"model.layers.3.self_attn.q_proj", "weight"};
 *  none for a tensor that is not part of the architecture. */
std::optional<CanonicalName> canonical_name(std::string_view name,
                                            const GgufArchitecture& arch);

/** null where there is none. */
const GgufTensor* find_tensor(const GgufFile& file, std::string_view name);

/** The tensor with what rotary frequencies are divided by. */
inline constexpr std::string_view kGgufRopeFactors = "rope_freqs.weight";

}  // namespace skua
