#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skua::cli {

/** A file descriptor that is closed with the object. */
class OpenFile {
 public:
  explicit OpenFile(int fd = -1) : fd_(fd) {}
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

/** Reads a file line by line, with no more than a line in memory. */
class LineReader {
 public:
  /** path       "-" is stdin
   *  max_bytes  of a line; a longer one comes without its text
   *  Throws NotFound, Error. */
  LineReader(const std::string& path, std::size_t max_bytes);

  struct Line {
    std::string text;
    bool too_long = false;
    bool ended = true;  // by a line break
  };
  /** The next line; none at the end, or once Ctrl-C has come. Throws Error. */
  std::optional<Line> next();

  /** Whether next() would give a line, or at least its beginning, at once. */
  bool ready() const;

  /** Bytes of the lines so far, and of the file: 0 where that is not known. */
  std::uint64_t done_bytes() const { return done_bytes_; }
  std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  bool fill();

  std::string path_;
  std::size_t max_bytes_;
  OpenFile file_;
  std::string buffer_;
  std::size_t at_ = 0;  // of what comes next in buffer_
  std::uint64_t done_bytes_ = 0, total_bytes_ = 0;
};

/** The file that a batch writes, line by line. Only one process may. */
class LineWriter {
 public:
  /** Leaves what the file holds as it is. Throws InvalidInput where another
   *  process writes it, Error where it cannot be opened. */
  explicit LineWriter(const std::string& path);

  /** False for a pipe or device, which holds nothing to go on from. */
  bool is_regular() const { return is_regular_; }

  /** Cuts the file off behind its first n bytes; lines go there. */
  void keep(std::uint64_t n_bytes);

  /** The line is whole in the file when this returns. Throws Error. */
  void write(std::string line);

 private:
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;
  OpenFile file_;
  bool is_regular_ = false;
};

}  // namespace skua::cli
