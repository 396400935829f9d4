#pragma once

#include <CLI/CLI.hpp>

namespace skua::cli {

void add_pull(CLI::App& app);
void add_list(CLI::App& app);

}  // namespace skua::cli
