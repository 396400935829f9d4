#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "skua/error.h"

namespace skua {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string reason() {
  return std::strerror(errno);
}

// Opens a regular file and reports its size.
int open_regular(const std::filesystem::path& path, std::size_t& n_bytes) {
  // Without O_NONBLOCK a FIFO would wait here for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    throw NotFound(path.string(), "no such file");
  if (fd < 0) throw Error(path.string(), "cannot be opened: " + reason());
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw NotFound(path.string(), "is not a regular file");
  }
  n_bytes = static_cast<std::size_t>(info.st_size);
  return fd;
}

void advise(std::span<const std::byte> mapped, int advice) {
  if (mapped.empty()) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t first = start / page * page;
  ::madvise(reinterpret_cast<void*>(first), start + mapped.size() - first,
            advice);
}

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// What is not yet in the page cache is then read into huge pages where the
// file system can; they are read faster than small ones.
void ask_for_huge_pages([[maybe_unused]] std::span<const std::byte> mapped) {
#ifdef MADV_HUGEPAGE
  if (mapped.size() >= kHugePage) advise(mapped, MADV_HUGEPAGE);
#endif
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  auto mapping = std::make_shared<Mapping>();
  mapping->path = path;
  std::size_t n_bytes = 0;
  const Descriptor fd(open_regular(path, n_bytes));
  if (n_bytes > 0) {
    void* data = ::mmap(nullptr, n_bytes, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED)
      throw Error(path.string(), "cannot be mapped: " + reason());
    mapping->bytes = {static_cast<const std::byte*>(data), n_bytes};
    ask_for_huge_pages(mapping->bytes);
  }
  mapping_ = std::move(mapping);
}

MappedFile::Mapping::~Mapping() {
  if (!bytes.empty())
    ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

void MappedFile::drop_pages(std::span<const std::byte> part) const {
  // One touched byte maps the whole of a huge page, which the mapping need not
  // start on.
  const auto whole = bytes();
  const auto start = static_cast<std::size_t>(part.data() - whole.data());
  const std::size_t first = start < kHugePage ? 0 : start - kHugePage;
  const std::size_t last =
      std::min(whole.size(), start + part.size() + kHugePage);
  advise(whole.subspan(first, last - first), MADV_DONTNEED);
}

void read_ahead(std::span<const std::byte> mapped) {
#ifdef MADV_POPULATE_READ
  constexpr int kAdvice = MADV_POPULATE_READ;
#else
  constexpr int kAdvice = MADV_WILLNEED;
#endif
  advise(mapped, kAdvice);
}

std::string read_file(const std::filesystem::path& path,
                      std::size_t max_bytes) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() > max_bytes) {
    throw InvalidInput(path.string(), "file is too large, got " +
                                          std::to_string(bytes.size()) +
                                          " bytes, expected at most " +
                                          std::to_string(max_bytes));
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write_file_atomic(const std::filesystem::path& path,
                       std::string_view content) {
  write_file_atomic(path, std::span(&content, 1));
}

void write_file_atomic(const std::filesystem::path& path,
                       std::span<const std::string_view> parts) {
  std::string temporary = path.string() + ".XXXXXX";
  const Descriptor fd(::mkstemp(temporary.data()));
  if (fd.get() < 0)
    throw Error(path.string(), "cannot be written: " + reason());
  std::string failure;
  for (std::string_view content : parts) {
    while (!content.empty() && failure.empty()) {
      const ssize_t n = ::write(fd.get(), content.data(), content.size());
      if (n > 0) content.remove_prefix(static_cast<std::size_t>(n));
      if (n < 0 && errno != EINTR) failure = reason();
    }
  }
  if (failure.empty() && ::fchmod(fd.get(), 0644) != 0) failure = reason();
  if (failure.empty() && ::rename(temporary.c_str(), path.c_str()) != 0)
    failure = reason();
  if (failure.empty()) return;
  ::unlink(temporary.c_str());
  throw Error(path.string(), "cannot be written: " + failure);
}

}  // namespace skua
