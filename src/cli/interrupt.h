#pragma once

namespace skua::cli {

/** Makes the first Ctrl-C or SIGTERM set a flag; the second one kills. */
void catch_interrupts();

/** Forgets a Ctrl-C and makes every later one set the flag again. */
void rearm_interrupts();

/** Whether either has come. */
bool interrupted();

/** Whether SIGTERM has come, which ends the program and not just an answer. */
bool terminated();

}  // namespace skua::cli
