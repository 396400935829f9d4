#pragma once

#include <memory>

#include "base/hub.h"
#include "cli/progress.h"

namespace skua::cli {

/** Options for pull and resolve_model that show a progress bar per file and
 *  stop at Ctrl-C. */
PullOptions pull_options(bool quiet);

}  // namespace skua::cli
