#include "base/model_path.h"

#include <algorithm>
#include <map>
#include <system_error>

#include "base/hub_cache.h"
#include "base/hub_names.h"

namespace skua {

namespace fs = std::filesystem;

namespace {

bool is_gguf(const fs::path& path) {
  std::error_code ignored;
  return path.extension() == ".gguf" && fs::is_regular_file(path, ignored);
}

bool is_model(const fs::path& path) {
  std::error_code ignored;
  return is_gguf(path) || fs::is_directory(path, ignored);
}

// Names that can only be meant as a path: no hub or folder look-up.
bool looks_like_path(const std::string& name) {
  return name.starts_with('/') || name.starts_with("./") ||
         name.starts_with("../") || name.ends_with('/') || name == "." ||
         name == "..";
}

fs::path resolve_hub(const std::string& name, const PullOptions& options) {
  const HubModel model = parse_hub_name(name);
  if (const auto cached = find_cached(model)) return *cached;
  return pull(model, options).path;
}

fs::path resolve_default() {
  const fs::path path = model_folder() / kDefaultModel;
  if (is_gguf(path)) return path;
  throw NotFound("default model",
                 "no file " + path.string() +
                     "; get it with tools/get_model.py, or name another "
                     "with --model or SKUA_MODEL");
}

fs::path resolve_named(const std::string& name, const PullOptions& options) {
  const fs::path given = hub::expand_home(name);
  if (is_model(given)) return given;
  std::error_code ignored;
  if (fs::exists(given, ignored)) {
    throw InvalidInput("model " + name,
                       "is neither a directory nor a .gguf file; name the "
                       "directory that holds config.json");
  }
  if (given.is_absolute() || looks_like_path(name))
    throw NotFound("model " + name, "no such directory or .gguf file");
  if (name.find('/') != name.npos) {
    if (is_hub_name(name)) return resolve_hub(name, options);
    throw NotFound("model " + name,
                   "no such directory or .gguf file, and not a hub name "
                   "org/name[:file]");
  }
  for (const char* suffix : {"", ".gguf"}) {
    const fs::path path = model_folder() / (name + suffix);
    if (hub::is_safe_name(name) && is_model(path)) return path;
  }
  throw NotFound("model " + name,
                 "no such directory or .gguf file here or in " +
                     model_folder().string() +
                     "; 'skua list' shows what is there, 'skua pull "
                     "org/name' gets a model from the hub");
}

std::chrono::system_clock::time_point modified_at(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return {};
  return std::chrono::time_point_cast<std::chrono::system_clock::duration>(
      std::chrono::file_clock::to_sys(time));
}

void add_size(CachedModel& model, const fs::path& path) {
  std::error_code error;
  const auto n_bytes = fs::file_size(path, error);
  if (!error) model.size_bytes += n_bytes;
  model.modified = std::max(model.modified, modified_at(path));
}

// Every entry of a folder, sorted; none where it cannot be read.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    paths.push_back(it->path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

void add_checkpoint(const std::string& name, const std::string& revision,
                    const fs::path& folder, const hub::Names& files,
                    std::vector<CachedModel>& models) {
  CachedModel model{name, revision, folder, 0, {}, true};
  for (const std::string& file : files)
    if (!file.ends_with(".gguf")) add_size(model, folder / file);
  model.complete = hub::is_complete_checkpoint(folder);
  models.push_back(std::move(model));
}

// A snapshot may hold one checkpoint and any number of GGUF files.
void add_snapshot(const std::string& name, const fs::path& snapshot,
                  const std::string& suffix, std::vector<CachedModel>& models) {
  const hub::Names files = hub::files_below(snapshot);
  const std::string commit = snapshot.filename().string();
  if (!hub::safetensors_files(files).empty() ||
      std::binary_search(files.begin(), files.end(), hub::kIndexName))
    add_checkpoint(name + suffix, commit, snapshot, files, models);
  for (const std::string& file : files) {
    if (!file.ends_with(".gguf")) continue;
    const hub::Names parts = hub::gguf_parts(file);
    if (parts.front() != file) continue;
    CachedModel model{
        name + ":" + file + suffix, commit, snapshot / file, 0, {}, true};
    for (const std::string& part : parts) {
      add_size(model, snapshot / part);
      model.complete &= std::binary_search(files.begin(), files.end(), part);
    }
    models.push_back(std::move(model));
  }
}

void add_repository(const fs::path& cache, const fs::path& folder,
                    std::vector<CachedModel>& models) {
  std::string name = folder.filename().string().substr(8);
  const auto dashes = name.find("--");
  if (dashes == name.npos) return;
  name = name.substr(0, dashes) + '/' + name.substr(dashes + 2);
  if (!is_hub_name(name)) return;
  const hub::Repository repository(cache, name);
  std::map<std::string, std::string> revision_of;
  for (const std::string& ref : hub::files_below(folder / "refs")) {
    const std::string commit = repository.commit_of(ref);
    if (!revision_of.contains(commit) || ref == "main")
      revision_of[commit] = ref;
  }
  for (const fs::path& snapshot : entries(folder / "snapshots")) {
    const std::string commit = snapshot.filename().string();
    if (!hub::is_hex(commit, 40)) continue;
    const auto found = revision_of.find(commit);
    const std::string revision =
        found == revision_of.end() ? commit : found->second;
    add_snapshot(name, snapshot, revision == "main" ? "" : "@" + revision,
                 models);
  }
}

}  // namespace

fs::path model_folder() {
  const std::string home = hub::environment("SKUA_HOME");
  return (home.empty() ? hub::user_cache_folder() / "skua"
                       : hub::expand_home(home)) /
         "models";
}

fs::path resolve_model(const std::string& name, const PullOptions& options) {
  if (!name.empty()) return resolve_named(name, options);
  const std::string set = hub::environment("SKUA_MODEL");
  return set.empty() ? resolve_default() : resolve_named(set, options);
}

std::vector<CachedModel> cached_models() {
  std::vector<CachedModel> models;
  const fs::path cache = hub::read_settings().cache;
  for (const fs::path& folder : entries(cache)) {
    if (folder.filename().string().starts_with("models--"))
      add_repository(cache, folder, models);
  }
  for (const fs::path& path : entries(model_folder())) {
    const std::string name = path.filename().string();
    if (is_gguf(path)) {
      CachedModel model{name, "", path, 0, {}, true};
      add_size(model, path);
      models.push_back(std::move(model));
    } else if (const auto files = hub::files_below(path); std::binary_search(
                   files.begin(), files.end(), std::string("config.json"))) {
      add_checkpoint(name, "", path, files, models);
    }
  }
  std::sort(models.begin(), models.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

}  // namespace skua
