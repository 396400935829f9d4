#pragma once

#include <memory>

#include "models/model.h"

namespace skua {

/** A step of a prompt and then one of an answer, on a sequence of its own that
 *  is gone afterwards: brings the weights into memory and starts threads. */
void warm_up(const CausalLM& model, std::shared_ptr<Cache> cache);

}  // namespace skua
