#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace skua::bench {

/** Calls emit for each kind of grammar with the milliseconds that it takes to
 *  compile, and the microseconds of a mask: of an answer's first pass, which
 *  computes those of new states, and of the passes behind it.
 *  path  a .gguf file or a folder with a tokenizer */
void run_grammar_tests(const std::string& path,
                       const std::function<void(const Json&)>& emit);

}  // namespace skua::bench
