#include "base/hub.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/hub_cache.h"
#include "base/hub_download.h"
#include "base/hub_http.h"
#include "base/hub_names.h"
#include "base/json.h"

namespace skua {

namespace fs = std::filesystem;

namespace hub {
namespace {

constexpr std::size_t kMaxInfoBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxFiles = 100000;

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <typename Function>
auto with_retries(const PullOptions& options, const Function& function) {
  Retry retry(options);
  while (true) {
    try {
      return function();
    } catch (const TransientFailure&) {
      retry.wait_or_rethrow();
    }
  }
}

std::uint64_t parse_size(const std::string& text, const std::string& file) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end ||
      value > (std::uint64_t{1} << 53))
    throw Error(file, "the hub states no usable size, got '" + text + "'");
  return value;
}

std::string parse_etag(std::string etag, const std::string& file) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  if (is_hex(etag, 64) || is_hex(etag, 40)) return etag;
  throw Error(file, "the hub states no SHA-256 or git hash to verify it by");
}

// One pull: what the hub says about a revision and the way into the cache.
class Pull {
 public:
  Pull(const HubModel& model, const PullOptions& options,
       const Settings& settings)
      : model_(model),
        options_(options),
        endpoint_(settings.endpoint),
        where_("model " + model.name),
        client_(settings.endpoint, settings.token, options.cancelled),
        repository_(settings.cache, model.name) {}

  PullResult run() {
    fetch_info();
    result_.path = repository_.snapshot(result_.commit);
    const bool whole = model_.file.empty() && has_safetensors();
    if (whole) {
      fetch_checkpoint();
    } else {
      const std::string file = choose_file();
      fetch(gguf_parts(file));
      result_.path /= file;
    }
    repository_.write_ref(model_.revision, result_.commit);
    return result_;
  }

 private:
  void fetch_info() {
    const std::string url = endpoint_ + "/api/models/" + model_.name +
                            "/revision/" + url_encode(model_.revision, false);
    const std::string text = with_retries(options_, [&] {
      std::string body;
      const auto response =
          client_.get(url, 0, [&](const HttpResponse&, std::string_view bytes) {
            if (body.size() + bytes.size() > kMaxInfoBytes)
              throw Error(where_, "the hub's description is too long");
            body += bytes;
          });
      check_status(response, where_, endpoint_ + "/" + model_.name);
      return body;
    });
    const Json info = parse_json(text, where_ + ", the hub's answer");
    const auto field = [&](const char* key) {
      const auto found = info.is_object() ? info.find(key) : info.end();
      return found == info.end() ? Json() : *found;
    };
    const Json sha = field("sha");
    const Json siblings = field("siblings");
    if (!sha.is_string() || !is_hex(sha.get<std::string>(), 40) ||
        !siblings.is_array() || siblings.size() > kMaxFiles)
      throw Error(where_,
                  "the hub's answer names no commit and files; check "
                  "HF_ENDPOINT");
    result_.commit = sha.get<std::string>();
    for (const Json& sibling : siblings) {
      const auto name =
          sibling.is_object() ? sibling.find("rfilename") : sibling.end();
      if (name != sibling.end() && name->is_string())
        names_.push_back(name->get<std::string>());
    }
  }

  bool has_safetensors() const {
    return contains(names_, kIndexName) || !safetensors_files(names_).empty();
  }

  std::string choose_file() const {
    if (!model_.file.empty() && contains(names_, model_.file))
      return model_.file;
    const bool has_gguf =
        std::any_of(names_.begin(), names_.end(),
                    [](const auto& name) { return name.ends_with(".gguf"); });
    if (model_.file.empty() && !has_gguf)
      throw Unsupported(where_, "has no .safetensors and no .gguf file");
    return choose_gguf(names_, model_.file, where_);
  }

  // Weights come last: a snapshot that has them has everything.
  void fetch_checkpoint() {
    fetch(metadata_files(names_));
    fetch(contains(names_, kIndexName)
              ? indexed_files(result_.path / kIndexName)
              : safetensors_files(names_));
  }

  void fetch(const Names& wanted) {
    std::vector<RemoteFile> files;
    std::uint64_t needed = 0;
    for (const std::string& name : wanted) {
      if (!is_safe_name(name))
        throw Error(where_,
                    "the hub names a file that points outside the "
                    "cache or is not printable");
      if (!contains(names_, name))
        throw NotFound(where_, "lacks the file " + name);
      std::error_code ignored;
      if (fs::exists(result_.path / name, ignored)) continue;
      files.push_back(describe(name));
      if (!has_blob(files.back())) needed += missing_bytes(files.back());
    }
    if (files.empty()) return;
    make_folder(repository_.blob("").parent_path());
    check_room(repository_.folder(), needed);
    for (const RemoteFile& file : files) fetch_file(file);
  }

  RemoteFile describe(const std::string& name) {
    const std::string url = endpoint_ + "/" + model_.name + "/resolve/" +
                            result_.commit + "/" + url_encode(name, true);
    const HttpResponse response =
        with_retries(options_, [&] { return client_.head(url); });
    const std::string linked = response.header("x-linked-etag");
    const std::string where = where_ + ", " + name;
    if (linked.empty())
      check_status(response, where, endpoint_ + "/" + model_.name);
    const std::string commit = response.header("x-repo-commit");
    if (!commit.empty() && commit != result_.commit)
      throw Error(where, "the hub answered for another commit");
    const std::string size = response.header("x-linked-size");
    return {
        name, url,
        parse_etag(linked.empty() ? response.header("etag") : linked, where),
        parse_size(size.empty() ? response.header("content-length") : size,
                   where)};
  }

  bool has_blob(const RemoteFile& file) const {
    std::error_code error;
    return fs::file_size(repository_.blob(file.etag), error) == file.n_bytes &&
           !error;
  }

  std::uint64_t missing_bytes(const RemoteFile& file) const {
    fs::path part = repository_.blob(file.etag);
    part += ".incomplete";
    std::error_code error;
    const std::uint64_t present = fs::file_size(part, error);
    return error || present > file.n_bytes ? file.n_bytes
                                           : file.n_bytes - present;
  }

  void fetch_file(const RemoteFile& file) {
    const FileLock lock(repository_.lock(file.etag), options_.cancelled);
    if (!has_blob(file)) {
      result_.downloaded_bytes +=
          download_blob(client_, file, repository_.blob(file.etag), options_);
      ++result_.n_downloaded;
    }
    repository_.link(result_.commit, file.name, file.etag);
  }

  const HubModel& model_;
  const PullOptions& options_;
  const std::string endpoint_, where_;
  HttpClient client_;
  Repository repository_;
  Names names_;
  PullResult result_;
};

}  // namespace
}  // namespace hub

PullResult pull(const HubModel& model, const PullOptions& options) {
  const hub::Settings settings = hub::read_settings();
  if (settings.offline) {
    const auto cached = find_cached(model);
    if (!cached) {
      throw NotFound("model " + model.name,
                     "is not in the cache " + settings.cache.string() +
                         " and HF_HUB_OFFLINE forbids to get it");
    }
    const hub::Repository repository(settings.cache, model.name);
    return {*cached, repository.commit_of(model.revision)};
  }
  try {
    return hub::Pull(model, options, settings).run();
  } catch (const fs::filesystem_error& error) {
    throw Error(error.path1().string(), error.code().message());
  }
}

std::optional<fs::path> find_cached(const HubModel& model) {
  const hub::Settings settings = hub::read_settings();
  const hub::Repository repository(settings.cache, model.name);
  const std::string commit = repository.commit_of(model.revision);
  if (commit.empty()) return std::nullopt;
  const fs::path snapshot = repository.snapshot(commit);
  if (model.file.empty() && hub::is_complete_checkpoint(snapshot))
    return snapshot;
  const hub::Names names = hub::files_below(snapshot);
  if (hub::contains(names, model.file)) return snapshot / model.file;
  try {
    const std::string file =
        hub::choose_gguf(names, model.file, "model " + model.name);
    const hub::Names parts = hub::gguf_parts(file);
    const bool whole = std::all_of(
        parts.begin(), parts.end(),
        [&](const std::string& part) { return hub::contains(names, part); });
    return whole ? std::optional(snapshot / file) : std::nullopt;
  } catch (const NotFound&) {
    return std::nullopt;
  } catch (const InvalidInput&) {
    return std::nullopt;
  }
}

}  // namespace skua
