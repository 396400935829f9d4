#pragma once

#include <filesystem>
#include <memory>

#include "generate/cache_identity.h"
#include "generate/prompt_cache.h"
#include "generate/session.h"

namespace skua {

/** Writes a session as an mlx-lm prompt cache; readers see the old file or
 *  the whole new one. Layers that see all are KVCache, others RotatingKVCache
 *  with what the next row sees. Numbers keep their type, but those of int8
 *  and int4 are written as the float32 numbers that attention sees. The user's
 *  metadata holds `model` (its path), `tokenizer_config` ("{}"), and
 *  `skua_model`, `skua_tokenizer`, `skua_kv_type`, `skua_tokens` and
 *  `skua_sha256`, which tells altered files (prompt_cache_digest.h).
 *  Throws InvalidInput if the session is empty, Unsupported where layers share
 *  their keys and values, Error. */
void save_session(const Session& session, const std::filesystem::path& path,
                  const CacheIdentity& identity,
                  PromptCacheLayout layout = PromptCacheLayout::kMetaState);

/** The session that a file holds, as a new sequence of `cache`, which is one
 *  of `model`. It continues as the one that was saved, bit for bit but for
 *  int8 and int4, whose scales may differ in their last bits.
 *  Throws NotFound, Error, or InvalidInput that names the difference where
 *  the file is damaged, not of this model and tokenizer, or of other cache
 *  options, or has more tokens than the context; the cache is then as it
 *  was. */
Session load_session(const std::filesystem::path& path, const CausalLM& model,
                     std::shared_ptr<Cache> cache,
                     const CacheIdentity& identity, int context = 0,
                     int chunk = Session::kChunk);

}  // namespace skua
