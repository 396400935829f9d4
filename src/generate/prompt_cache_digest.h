#pragma once

#include <string>

#include "generate/prompt_cache.h"

namespace skua {

/** The metadata that holds a file's digest. */
inline constexpr const char* kPromptCacheDigest = "skua_sha256";

/** SHA-256, in hexadecimal digits, of what a prompt cache says: its layers,
 *  with rings in the order of time, and the metadata `skua_*`. Other programs
 *  may lay the same out otherwise, in either layout. Waits for the arrays. */
std::string digest_of(const PromptCacheFile& cache);

}  // namespace skua
