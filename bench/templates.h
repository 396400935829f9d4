#pragma once

#include <filesystem>
#include <functional>

#include "base/json.h"

namespace skua::bench {

/** Microseconds of parsing and rendering chat templates, the best of some
 *  runs, summed over all.
 *  folder  the templates
 *  cases   a JSON file {"contexts": {name: variables}, "cases": [{"template":
 *          path, "context": name, "output": text or absent}]}
 *  Cases without an output or a file are left out. Throws InvalidInput. */
void run_template_tests(const std::filesystem::path& folder,
                        const std::filesystem::path& cases,
                        const std::function<void(const Json&)>& emit);

}  // namespace skua::bench
