#pragma once

namespace skua::cli {

/** Makes the first Ctrl-C or SIGTERM set a flag; the second one kills. */
void catch_interrupts();

/** Whether the flag is set. */
bool interrupted();

}  // namespace skua::cli
