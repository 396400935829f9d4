#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "skua/error.h"

namespace skua {

/** Thrown when PullOptions::cancelled asked to stop. */
class Cancelled : public Error {
 public:
  using Error::Error;
};

/** A model on the hub, or one file of its repository. */
struct HubModel {
  std::string name;               // org/name
  std::string file;               // file name or quantisation; may be empty
  std::string revision = "main";  // branch, tag or commit
};

/** Whether `text` starts with the shape org/name of a hub model. */
bool is_hub_name(std::string_view text);

/** Parses `org/name[:file][@revision]`. Throws InvalidInput. */
HubModel parse_hub_name(std::string_view text);

struct PullProgress {
  std::string_view file;
  std::uint64_t done_bytes;  // starts above 0 where a part is resumed
  std::uint64_t total_bytes;
};

struct PullOptions {
  /** Called from the pulling thread, often; may be empty. */
  std::function<void(const PullProgress&)> progress = {};
  /** Polled a few times per second; true ends the pull with Cancelled. */
  std::function<bool()> cancelled = {};
  /** Failed requests are tried 5 times with this delay, doubled each time. */
  int retry_delay_ms = 500;
};

struct PullResult {
  std::filesystem::path path;  // snapshot folder, or the file asked for
  std::string commit;
  std::uint64_t downloaded_bytes = 0;
  int n_downloaded = 0;  // files
};

/** Brings a model into the Hugging Face cache and returns where it lies: the
 *  snapshot folder, or one file where `model.file` names it (a GGUF file also
 *  by its quantisation, e.g. "Q4_K_M", and where the repository holds only
 *  one). Takes configuration, tokenizer and safetensors files only. Files are
 *  resumed, verified by the hash that the hub states, and appear under their
 *  final name when whole. Safe beside other programs on the same cache.
 *  Environment: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH,
 *  HF_HUB_OFFLINE. Layout and names: huggingface_hub file_download.py.
 *  Throws NotFound (model, revision, file; not cached while offline),
 *  InvalidInput (ambiguous file), Unsupported (no weights Skua can read),
 *  Cancelled, Error (network, access, hash, disk). */
PullResult pull(const HubModel& model, const PullOptions& options = {});

/** Where pull would return to, if the cache holds all of it. No network. */
std::optional<std::filesystem::path> find_cached(const HubModel& model);

}  // namespace skua
