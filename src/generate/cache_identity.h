#pragma once

#include <string>
#include <string_view>

#include "models/load.h"

namespace skua {

/** What keys and values depend on, as a file names it. */
struct CacheIdentity {
  std::string path;       // of the model, for people and for mlx-lm
  std::string model;      // architecture and a digest
  std::string tokenizer;  // kind and a digest of its vocabulary; or "none"
};

/** The identity of a model, by its configuration and samples of its weight
 *  files. It tells models apart and proves nothing against forgery.
 *  Throws NotFound, Error where the files are gone. */
CacheIdentity identity_of(const LoadedModel& loaded);

/** FNV-1a of 64 bits, in hexadecimal. */
std::string digest_of(std::string_view text);

}  // namespace skua
