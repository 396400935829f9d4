#include "models/text_frame.h"

namespace skua {

void ignore_leftovers(Weights& weights, bool tied) {
  weights.ignore([tied](const std::string& name) {
    return name.ends_with("rotary_emb.inv_freq") ||
           (tied && name.starts_with("lm_head."));
  });
}

}  // namespace skua
