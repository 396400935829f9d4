#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/hub_names.h"

namespace skua::hub {

/** What the environment says about the hub, as huggingface_hub reads it. */
struct Settings {
  std::filesystem::path cache;  // HF_HUB_CACHE, else HF_HOME/hub
  std::string endpoint;         // HF_ENDPOINT without trailing slashes
  std::string token;            // HF_TOKEN, else the token file; may be empty
  bool offline = false;         // HF_HUB_OFFLINE
};

/** Throws InvalidInput for a token or endpoint that cannot be sent. */
Settings read_settings();

/** The value of an environment variable; empty where unset. */
std::string environment(const char* name);
/** $XDG_CACHE_HOME, else ~/.cache. */
std::filesystem::path user_cache_folder();
/** Puts $HOME in place of a leading '~'. */
std::filesystem::path expand_home(const std::string& path);

/** Creates a folder and those above it. Throws Error with the remedy. */
void make_folder(const std::filesystem::path& folder);

/** Bytes that may still be written below `folder`. */
std::uint64_t free_bytes(const std::filesystem::path& folder);

/** Flushes a file or folder to disk. Throws Error. */
void sync_path(const std::filesystem::path& path);

/** Whether the content of `path` has the hash that `etag` states: SHA-256 for
 *  64 digits, git's blob SHA-1 for 40. Throws Error, Cancelled. */
bool has_hash(const std::filesystem::path& path, const std::string& etag,
              const std::function<bool()>& cancelled);

/** An exclusive lock between processes, held while the object lives. */
class FileLock {
 public:
  /** Waits for the lock. Throws Error, Cancelled. */
  FileLock(const std::filesystem::path& path,
           const std::function<bool()>& cancelled);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

/** The folder of one repository in the cache:
 *  models--org--name/{blobs,refs,snapshots}. */
class Repository {
 public:
  Repository(const std::filesystem::path& cache, const std::string& name);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path blob(const std::string& etag) const;
  std::filesystem::path lock(const std::string& etag) const;
  std::filesystem::path snapshot(const std::string& commit) const;

  /** The commit that `revision` last stood for; empty where unknown. */
  std::string commit_of(const std::string& revision) const;
  void write_ref(const std::string& revision, const std::string& commit) const;

  /** Makes snapshots/commit/file a relative link to the blob. */
  void link(const std::string& commit, const std::string& file,
            const std::string& etag) const;

 private:
  std::filesystem::path cache_, folder_;
};

/** Names of the files below a folder, relative to it, '/' between; links are
 *  followed, dangling ones left out. */
Names files_below(const std::filesystem::path& folder);

/** The safetensors files that `model.safetensors.index.json` names. Throws
 *  InvalidInput for a damaged index or an unsafe name. */
Names indexed_files(const std::filesystem::path& index);

/** Whether a snapshot holds a configuration and every weight file it needs. */
bool is_complete_checkpoint(const std::filesystem::path& snapshot);

inline constexpr const char* kIndexName = "model.safetensors.index.json";

}  // namespace skua::hub
