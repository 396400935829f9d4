#pragma once

namespace skua::cli {

/** Makes the first Ctrl-C or SIGTERM set a flag; the second one kills. */
void catch_interrupts();

/** Clears the flag and makes every Ctrl-C set it again. */
void rearm_interrupts();

/** Whether the flag is set. */
bool interrupted();

}  // namespace skua::cli
