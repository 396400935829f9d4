#pragma once

#include <functional>

#include "base/json.h"

namespace skua::bench {

/** Calls emit with the nanoseconds per character that stop strings cost, 64 of
 *  them over 100,000 characters that come one at a time: words in prose, and
 *  stops that a text keeps beginning and breaking off. */
void run_stop_tests(const std::function<void(const Json&)>& emit);

}  // namespace skua::bench
