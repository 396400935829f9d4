#include "base/hub_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "base/hub_http.h"
#include "base/json.h"

namespace skua::hub {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kHashChunkBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxTokenFileBytes = 65536;
constexpr std::size_t kMaxIndexBytes = std::size_t{256} << 20;

bool is_true(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(c & 0xff));
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

// Spaces and line ends around a token come from files and shells.
std::string clean_token(std::string token, const std::string& where) {
  std::erase_if(token, [](char c) { return c == '\r' || c == '\n'; });
  const auto first = token.find_first_not_of(" \t");
  if (first == token.npos) return "";
  token = token.substr(first, token.find_last_not_of(" \t") - first + 1);
  for (const char c : token) {
    if (c <= ' ' || c > '~')
      throw InvalidInput(where, "holds a character no token can have");
  }
  return token;
}

std::string find_token(const fs::path& home) {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    const std::string token = clean_token(environment(name), name);
    if (!token.empty()) return token;
  }
  const std::string set = environment("HF_TOKEN_PATH");
  const fs::path path = set.empty() ? home / "token" : expand_home(set);
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return "";
  return clean_token(read_file(path, kMaxTokenFileBytes), path.string());
}

std::string reason() {
  return std::strerror(errno);
}

struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path expand_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  return environment("HOME") + path.substr(1);
}

fs::path user_cache_folder() {
  const std::string set = environment("XDG_CACHE_HOME");
  return expand_home(set.empty() ? "~/.cache" : set);
}

Settings read_settings() {
  Settings settings;
  const std::string home = environment("HF_HOME");
  const fs::path folder =
      home.empty() ? user_cache_folder() / "huggingface" : expand_home(home);
  settings.cache = folder / "hub";
  for (const char* name : {"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"}) {
    const std::string set = environment(name);
    if (!set.empty()) settings.cache = expand_home(set);
  }
  settings.endpoint = environment("HF_ENDPOINT");
  if (settings.endpoint.empty()) settings.endpoint = "https://huggingface.co";
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  settings.token = find_token(folder);
  settings.offline = is_true(environment("HF_HUB_OFFLINE"));
  return settings;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return;
  throw Error(folder.string(), "cannot be created: " + error.message() +
                                   "; set HF_HOME to a folder that can be "
                                   "written");
}

std::uint64_t free_bytes(const fs::path& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0)
    throw Error(folder.string(), "free space is unknown: " + reason());
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

void sync_path(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0 || (::fsync(file.fd) != 0 && errno != EINVAL))
    throw Error(path.string(), "cannot be written to disk: " + reason());
}

bool has_hash(const fs::path& path, const std::string& etag,
              const std::function<bool()>& cancelled) {
  const bool is_git = etag.size() == 40;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) throw Error(path.string(), "cannot be opened: " + reason());
  Digest digest(is_git ? Digest::Kind::kSha1 : Digest::Kind::kSha256);
  if (is_git) {
    const std::string header = "blob " + std::to_string(fs::file_size(path));
    digest.add(std::string_view(header.c_str(), header.size() + 1));
  }
  std::vector<char> chunk(kHashChunkBytes);
  while (true) {
    if (cancelled && cancelled()) throw Cancelled(path.string(), "cancelled");
    const ssize_t n = ::read(file.fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(path.string(), "cannot be read: " + reason());
    if (n == 0) break;
    digest.add(std::string_view(chunk.data(), static_cast<std::size_t>(n)));
  }
  return digest.hex() == etag;
}

FileLock::FileLock(const fs::path& path,
                   const std::function<bool()>& cancelled) {
  make_folder(path.parent_path());
  while (fd_ < 0) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664));
    if (file.fd < 0)
      throw Error(path.string(), "cannot be created: " + reason());
    while (::flock(file.fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR)
        throw Error(path.string(), "cannot be locked: " + reason());
      if (cancelled && cancelled()) throw Cancelled(path.string(), "cancelled");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    // Other programs remove lock files: a lock on a removed one is none.
    struct stat info{};
    if (::fstat(file.fd, &info) == 0 && info.st_nlink > 0)
      std::swap(fd_, file.fd);
  }
}

FileLock::~FileLock() {
  ::close(fd_);
}

Repository::Repository(const fs::path& cache, const std::string& name)
    : cache_(cache) {
  std::string folder = "models--" + name;
  folder.replace(folder.find('/'), 1, "--");
  folder_ = cache_ / folder;
}

fs::path Repository::blob(const std::string& etag) const {
  return folder_ / "blobs" / etag;
}

fs::path Repository::lock(const std::string& etag) const {
  return cache_ / ".locks" / folder_.filename() / (etag + ".lock");
}

fs::path Repository::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

std::string Repository::commit_of(const std::string& revision) const {
  if (is_hex(revision, 40)) return revision;
  const fs::path path = folder_ / "refs" / revision;
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > 4096)
    return "";
  std::string commit = read_file(path);
  while (!commit.empty() && std::isspace(commit.back() & 0xff))
    commit.pop_back();
  return is_hex(commit, 40) ? commit : "";
}

void Repository::write_ref(const std::string& revision,
                           const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  const fs::path path = folder_ / "refs" / revision;
  make_folder(path.parent_path());
  write_file_atomic(path, commit);
}

void Repository::link(const std::string& commit, const std::string& file,
                      const std::string& etag) const {
  const fs::path pointer = snapshot(commit) / file;
  make_folder(pointer.parent_path());
  const fs::path target = blob(etag).lexically_relative(pointer.parent_path());
  fs::path temporary = pointer;
  temporary += "." + std::to_string(::getpid()) + ".tmp";
  std::error_code error;
  fs::create_symlink(target, temporary, error);
  if (error == std::errc::operation_not_permitted ||
      error == std::errc::operation_not_supported ||
      error == std::errc::function_not_supported) {
    fs::rename(blob(etag), pointer, error);
  } else if (!error) {
    fs::rename(temporary, pointer, error);
  }
  if (error)
    throw Error(pointer.string(), "cannot be created: " + error.message());
}

Names files_below(const fs::path& folder) {
  Names names;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(folder, options, error), end;
       !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored))
      names.push_back(it->path().lexically_relative(folder).generic_string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Names indexed_files(const fs::path& index) {
  const Json json =
      parse_json(read_file(index, kMaxIndexBytes), index.string());
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object() || map->empty())
    throw InvalidInput(index.string(), "has no weight_map");
  std::set<std::string> files;
  for (const Json& file : *map) {
    if (!file.is_string() || !is_safe_name(file.get<std::string>()))
      throw InvalidInput(index.string(), "names an unusable file");
    files.insert(file.get<std::string>());
  }
  return {files.begin(), files.end()};
}

bool is_complete_checkpoint(const fs::path& snapshot) {
  const Names names = files_below(snapshot);
  const auto has = [&](const std::string& name) {
    return std::binary_search(names.begin(), names.end(), name);
  };
  if (!has("config.json")) return false;
  if (!has(kIndexName)) return !safetensors_files(names).empty();
  try {
    const Names shards = indexed_files(snapshot / kIndexName);
    return std::all_of(shards.begin(), shards.end(), has);
  } catch (const InvalidInput&) {
    return false;
  }
}

}  // namespace skua::hub
