#include "cli/batch_files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "cli/interrupt.h"
#include "skua/error.h"

namespace skua::cli {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;

int open_to_read(const std::string& path) {
  const int fd = path == "-" ? dup(STDIN_FILENO)
                             : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (errno == ENOENT || errno == ENOTDIR) throw NotFound(path, "is no file");
  throw Error(path, std::string("cannot be read: ") + std::strerror(errno));
}

}  // namespace

OpenFile::~OpenFile() {
  if (fd_ >= 0) close(fd_);
}

LineReader::LineReader(const std::string& path, std::size_t max_bytes)
    : path_(path == "-" ? "stdin" : path),
      max_bytes_(max_bytes),
      file_(open_to_read(path)) {
  struct stat status{};
  if (fstat(file_.fd(), &status) == 0 && S_ISREG(status.st_mode))
    total_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

// Adds to the buffer; false at the end of the file and at Ctrl-C.
bool LineReader::fill() {
  buffer_.erase(0, std::exchange(at_, 0));
  const std::size_t n_before = buffer_.size();
  buffer_.resize(n_before + kReadBytes);
  ssize_t n = -1;
  do {
    n = read(file_.fd(), buffer_.data() + n_before, kReadBytes);
  } while (n < 0 && errno == EINTR && !interrupted());
  const int error = errno;
  buffer_.resize(n_before + static_cast<std::size_t>(n > 0 ? n : 0));
  if (n < 0 && !interrupted())
    throw Error(path_, std::string("cannot be read: ") + std::strerror(error));
  return n > 0;
}

std::optional<LineReader::Line> LineReader::next() {
  Line line;
  std::size_t n_seen = 0;  // of the bytes from at_ on
  while (true) {
    if (interrupted()) return std::nullopt;
    const std::size_t end = buffer_.find('\n', at_ + n_seen);
    if (end != buffer_.npos) {
      n_seen = end - at_;
      break;
    }
    n_seen = buffer_.size() - at_;
    if (n_seen > max_bytes_) {
      line.too_long = true;
      done_bytes_ += std::exchange(n_seen, 0);
      at_ = buffer_.size();
    }
    if (fill()) continue;
    if (interrupted() || (n_seen == 0 && !line.too_long)) return std::nullopt;
    line.ended = false;
    break;
  }
  line.too_long = line.too_long || n_seen > max_bytes_;
  if (!line.too_long) line.text = buffer_.substr(at_, n_seen);
  at_ += n_seen + (line.ended ? 1 : 0);
  done_bytes_ += n_seen + (line.ended ? 1 : 0);
  return line;
}

bool LineReader::ready() const {
  if (buffer_.find('\n', at_) != buffer_.npos) return true;
  pollfd poll_fd{file_.fd(), POLLIN, 0};
  return poll(&poll_fd, 1, 0) != 0;
}

LineWriter::LineWriter(const std::string& path)
    : path_(path),
      file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_.fd() < 0) fail("opened for writing");
  struct stat status{};
  is_regular_ = fstat(file_.fd(), &status) == 0 && S_ISREG(status.st_mode);
  if (is_regular_ && flock(file_.fd(), LOCK_EX | LOCK_NB) != 0 &&
      errno == EWOULDBLOCK) {
    throw InvalidInput(path_, "is being written by another process");
  }
}

void LineWriter::keep(std::uint64_t n_bytes) {
  if (!is_regular_) return;
  const auto end = static_cast<off_t>(n_bytes);
  if (ftruncate(file_.fd(), end) != 0 || lseek(file_.fd(), end, SEEK_SET) < 0)
    fail("cut off");
}

void LineWriter::write(std::string line) {
  line += '\n';
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t n = ::write(file_.fd(), left.data(), left.size());
    if (n < 0 && errno != EINTR) fail("written");
    left.remove_prefix(static_cast<std::size_t>(n > 0 ? n : 0));
  }
}

void LineWriter::fail(const std::string& what) const {
  throw Error(path_, "cannot be " + what + ": " + std::strerror(errno));
}

}  // namespace skua::cli
