#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace skua {

/** A whole file mapped read-only. Copies share the mapping, which ends with
 *  the last of them. */
class MappedFile {
 public:
  /** Throws NotFound if `path` is no regular file, Error if it cannot be
   *  read. An empty file gives an empty span. */
  explicit MappedFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return mapping_->path; }
  std::span<const std::byte> bytes() const { return mapping_->bytes; }

  /** Keeps the mapping alive for as long as it is held. */
  std::shared_ptr<const void> owner() const { return mapping_; }

  /** Gives the memory of `part` of bytes() back, and of what shares its pages:
   *  it is not needed soon, and read again if it is. */
  void drop_pages(std::span<const std::byte> part) const;

 private:
  struct Mapping {
    ~Mapping();
    std::filesystem::path path;
    std::span<const std::byte> bytes;
  };
  std::shared_ptr<const Mapping> mapping_;
};

/** Brings mapped pages into memory now, so that their first use need not wait
 *  for the disk. Where the system refuses, they come with that use. */
void read_ahead(std::span<const std::byte> mapped);

/** The content of a file of at most `max_bytes`.
 *  Throws NotFound, Error, or InvalidInput if it is larger. */
std::string read_file(const std::filesystem::path& path,
                      std::size_t max_bytes = std::size_t{1} << 30);

/** Writes under a temporary name beside `path`, then renames: readers see the
 *  old file or the whole new one. Throws Error. */
void write_file_atomic(const std::filesystem::path& path,
                       std::string_view content);
/** The same of parts that follow each other. */
void write_file_atomic(const std::filesystem::path& path,
                       std::span<const std::string_view> parts);

}  // namespace skua
