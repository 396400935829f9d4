#pragma once

namespace skua {

/** How exactly weights are multiplied. On a GPU all but kExact compute with
 *  activations in bfloat16. */
enum class Precision {
  /** float32 throughout. */
  kExact,
  /** On CPU activations are rounded to 16 bits where weights are quantised:
   *  as exact as float32 for most purposes. */
  kDefault,
  /** On CPU prompts and large batches are computed with activations of 8 bits,
   *  one scale for 32 numbers at most. Faster, and the text may differ. */
  kFast,
};

}  // namespace skua
