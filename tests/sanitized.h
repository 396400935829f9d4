#pragma once

namespace skua::test {

/** Whether a sanitizer watches. It looks at code and memory, each of which
 *  many cases of a large table share, and takes ten times as long. */
#ifdef SKUA_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/** `all`, or a `parts`-th of it under a sanitizer: a size or a count. */
constexpr int scaled(int all, int parts) {
  return kSanitized ? all / parts : all;
}

/** Whether the next of many alike cases runs: each, or one in `parts` under a
 *  sanitizer. Counts from 0. */
constexpr bool takes(int index, int parts) {
  return !kSanitized || index % parts == 0;
}

}  // namespace skua::test
