#pragma once

namespace skua {

/** How exactly weights are multiplied. On a GPU all but kExact compute with
 *  activations in bfloat16. */
enum class Precision {
  /** float32 throughout. */
  kExact,
  /** On CPU activations are rounded to 16 bits where weights are quantised:
   *  as exact as float32 for most purposes. Results of a sequence have the same
   *  bits alone, in any batch and however its prompt is cut. */
  kDeterministic,
  /** As kDeterministic, but where the CPU multiplies bfloat16 in tiles, prompts
   *  and large batches are computed with weights and activations of bfloat16,
   *  and attention of prompts too: last digits depend on how many tokens share
   *  a step. */
  kDefault,
  /** On CPU prompts and large batches are computed with activations of 8 bits,
   *  one scale for 32 numbers at most. Faster, and the text may differ. */
  kFast,
};

}  // namespace skua
