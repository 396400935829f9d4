#pragma once

#include <functional>

#include "base/json.h"

namespace skua::bench {

/** Calls emit with the microseconds that each way of sampling takes per token
 *  of a vocabulary of 128256, for logits spread as a sure and as an unsure
 *  model's. */
void run_sampler_tests(const std::function<void(const Json&)>& emit);

}  // namespace skua::bench
