#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <thread>

#include "base/file.h"
#include "kernels/moving_bytes.h"

namespace skua {

/** True if the system has huge pages for those who ask, this process computes
 *  on CPU, and SKUA_HUGE_PAGES is not 0. Throws InvalidInput if it is set to
 *  anything but 0 or 1. */
bool wants_huge_pages();

/** For memory that is not touched yet, where wants_huge_pages(). */
void ask_for_huge_pages(std::span<std::byte> memory);

/** Moves weights of mapped files to huge pages, where they are read faster,
 *  while they are in use. A thread of its own copies them and gives the file's
 *  pages back. It ends when half of the memory that was available is taken:
 *  what is left stays mapped. */
class WeightMover {
 public:
  WeightMover() = default;
  /** Waits until the piece at hand is copied. */
  ~WeightMover();
  WeightMover(const WeightMover&) = delete;
  WeightMover& operator=(const WeightMover&) = delete;

  /** Has `part` of the file's bytes moved. Before start(). Returns where to
   *  ask for its place; none where the system has no memory. */
  std::shared_ptr<const MovingBytes> add(const MappedFile& file,
                                         std::span<const std::byte> part);
  void start();
  /** Waits until no more is moved. One thread at a time. */
  void wait();
  std::size_t n_bytes_moved() const { return n_bytes_moved_; }

 private:
  struct File {
    MappedFile file;
    std::shared_ptr<MovingBytes> bytes;
    std::map<std::size_t, std::size_t> parts;  // sizes by their place
  };

  void move_all(std::size_t most_bytes);
  /** False if it is not to go on. */
  bool move(File& file, std::size_t most_bytes);

  std::map<const std::byte*, File> files_;  // by their first byte
  std::atomic<bool> stops_ = false;
  std::atomic<std::size_t> n_bytes_moved_ = 0;
  std::thread thread_;
};

}  // namespace skua
