#pragma once

#include <filesystem>
#include <string>

#include "base/hub_cache.h"
#include "base/hub_http.h"

namespace skua::hub {

/** One file of a commit as the hub describes it. */
struct RemoteFile {
  std::string name;
  std::string url;
  std::string etag;  // 64 (SHA-256) or 40 (git blob SHA-1) digits
  std::uint64_t n_bytes = 0;
};

/** Turns a status that is no success into the error a user can act on.
 *  `where` names the model or file; `page` is where its terms are accepted. */
void check_status(const HttpResponse& response, const std::string& where,
                  const std::string& page);

/** Throws Error unless `folder` has room for `needed` more bytes. */
void check_room(const std::filesystem::path& folder, std::uint64_t needed);

/** Brings the file's content to `blob` by way of `blob`.incomplete, which
 *  stays for resuming unless its hash is wrong. The caller holds the lock.
 *  Returns the bytes that came over the network. Throws Error, Cancelled. */
std::uint64_t download_blob(HttpClient& client, const RemoteFile& file,
                            const std::filesystem::path& blob,
                            const PullOptions& options);

}  // namespace skua::hub
