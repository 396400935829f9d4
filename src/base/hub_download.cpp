#include "base/hub_download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace skua::hub {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kProgressThatResetsTries = std::uint64_t{1} << 20;

// The file a download grows in; what is in it survives every failure.
class PartFile {
 public:
  explicit PartFile(const fs::path& path) : path_(path) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd_ < 0) fail("cannot be created");
    struct stat info{};
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd_);
      throw Error(path.string(), "is not a regular file");
    }
    n_bytes_ = static_cast<std::uint64_t>(info.st_size);
  }
  ~PartFile() { ::close(fd_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  std::uint64_t size() const { return n_bytes_; }

  void clear() {
    if (::ftruncate(fd_, 0) != 0) fail("cannot be emptied");
    n_bytes_ = 0;
  }

  /** `total` is what the whole file needs, for the message. */
  void append(std::string_view bytes, std::uint64_t total) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        fail_full(total);
      if (n < 0) fail("cannot be written");
      n_bytes_ += static_cast<std::uint64_t>(n);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(path_.string(), what + ": " + std::strerror(errno));
  }

  [[noreturn]] void fail_full(std::uint64_t total) const {
    const std::string why = std::strerror(errno);
    throw Error(path_.string(),
                why + ", " + std::to_string(total - n_bytes_) +
                    " more bytes are needed, " +
                    std::to_string(free_bytes(path_.parent_path())) +
                    " are free; what is there is kept and resumed");
  }

  fs::path path_;
  int fd_ = -1;
  std::uint64_t n_bytes_ = 0;
};

// Whether a Content-Range continues a file of `n_bytes` at `offset`.
bool continues_at(const std::string& range, std::uint64_t offset,
                  std::uint64_t n_bytes) {
  return range.starts_with(fmt::format("bytes {}-", offset)) &&
         (range.ends_with(fmt::format("/{}", n_bytes)) ||
          range.ends_with("/*"));
}

// One request; returns when the part is whole.
void fetch_rest(HttpClient& client, const RemoteFile& file, PartFile& part,
                const PullOptions& options, std::uint64_t& n_received) {
  const std::uint64_t offset = part.size();
  bool started = false;
  const auto start = [&](const HttpResponse& response) {
    started = true;
    if (response.status == 200 && offset > 0) part.clear();
    if (response.status == 206 &&
        !continues_at(response.header("content-range"), offset, file.n_bytes))
      throw Error(file.name, "the server sent another range, got '" +
                                 response.header("content-range") +
                                 "', expected from byte " +
                                 std::to_string(offset));
  };
  const auto body = [&](const HttpResponse& response, std::string_view bytes) {
    if (!started) start(response);
    if (bytes.size() > file.n_bytes - part.size())
      throw Error(file.name, "the server sent too much, expected " +
                                 std::to_string(file.n_bytes) + " bytes");
    part.append(bytes, file.n_bytes);
    n_received += bytes.size();
    if (options.progress)
      options.progress({file.name, part.size(), file.n_bytes});
  };
  const HttpResponse response = client.get(file.url, offset, body);
  if (response.status == 416) {
    part.clear();
    throw TransientFailure(file.name, "the server refused to resume");
  }
  check_status(response, file.name, "");
  if (part.size() < file.n_bytes) {
    throw TransientFailure(file.name, "the connection ended early, got " +
                                          std::to_string(part.size()) +
                                          " bytes, expected " +
                                          std::to_string(file.n_bytes));
  }
}

// Fills the part, over several requests where connections are cut.
void fill(HttpClient& client, const RemoteFile& file, PartFile& part,
          const PullOptions& options, std::uint64_t& n_received) {
  Retry retry(options);
  while (part.size() < file.n_bytes) {
    const std::uint64_t before = n_received;
    try {
      fetch_rest(client, file, part, options, n_received);
    } catch (const TransientFailure&) {
      if (n_received - before >= kProgressThatResetsTries) retry.reset();
      retry.wait_or_rethrow();
    }
  }
}

}  // namespace

void check_status(const HttpResponse& response, const std::string& where,
                  const std::string& page) {
  const long status = response.status;
  if (status >= 200 && status < 300) return;
  const std::string code = response.header("x-error-code");
  const std::string got = ", got status " + std::to_string(status);
  if (status == 404 && code == "RevisionNotFound")
    throw NotFound(where, "no such revision on the hub" + got);
  if (status == 404 || status == 410)
    throw NotFound(where, "not found on the hub" + got);
  if (code == "GatedRepo") {
    throw Error(where, "access is gated" + got + "; accept the terms" +
                           (page.empty() ? "" : " at " + page) +
                           " and set HF_TOKEN");
  }
  if (status == 401 && code == "RepoNotFound") {
    throw NotFound(where, "not found on the hub, or private" + got +
                              "; a private model needs HF_TOKEN");
  }
  if (status == 401 || status == 403) {
    throw Error(where, "access denied" + got +
                           "; set HF_TOKEN to a token that may read it");
  }
  throw Error(where, "the hub refused" + got);
}

void check_room(const fs::path& folder, std::uint64_t needed) {
  const std::uint64_t available = free_bytes(folder);
  if (needed <= available) return;
  throw Error(folder.string(), "disk is too full, " + std::to_string(needed) +
                                   " more bytes are needed, " +
                                   std::to_string(available) + " are free");
}

std::uint64_t download_blob(HttpClient& client, const RemoteFile& file,
                            const fs::path& blob, const PullOptions& options) {
  fs::path part_path = blob;
  part_path += ".incomplete";
  std::uint64_t n_received = 0;
  bool resumed = false;
  {
    PartFile part(part_path);
    if (part.size() > file.n_bytes) part.clear();
    resumed = part.size() > 0;
    check_room(blob.parent_path(), file.n_bytes - part.size());
    fill(client, file, part, options, n_received);
  }
  if (!has_hash(part_path, file.etag, options.cancelled)) {
    fs::remove(part_path);
    // The part may have been another program's, with holes.
    if (resumed) return n_received + download_blob(client, file, blob, options);
    throw Error(file.name, "the content is damaged: its hash is not " +
                               file.etag + "; removed, try again");
  }
  sync_path(part_path);
  fs::rename(part_path, blob);
  sync_path(blob.parent_path());
  return n_received;
}

}  // namespace skua::hub
