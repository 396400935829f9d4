#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace skua {

/** Element types of the safetensors format. */
enum class SafeDtype {
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kU64,
  kI64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kC64,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF4,
  kF6E2M3,
  kF6E3M2,
};

/** The format's own spelling, e.g. "F8_E4M3". */
std::string_view safe_dtype_name(SafeDtype dtype);
/** Bits of one element (4 for F4). */
int safe_dtype_bits(SafeDtype dtype);

struct SafeTensor {
  std::string name;
  SafeDtype dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  // inside the mapping, any alignment
};

/** One safetensors file, mapped and checked: header at most 100 MB, shapes,
 *  offsets and sizes agree, no hole, no overlap, no duplicate name.
 *  Source: huggingface/safetensors, format section of the README. */
class SafetensorsFile {
 public:
  /** Throws NotFound, Error, InvalidInput (names file and tensor). */
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const MappedFile& file() const { return file_; }
  /** In the order of their data. */
  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }

 private:
  MappedFile file_;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/** Writes tensors, one after the other, and metadata; a reader sees the old
 *  file or the whole new one. Throws InvalidInput if a name comes twice or
 *  data and shape do not fit, Error. */
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<SafeTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

/** All files of a checkpoint folder: the shards that
 *  `model.safetensors.index.json` names (the index is authoritative: bare
 *  file names only, each tensor where the index says, none left over), else
 *  `model.safetensors`. Throws NotFound where there is neither or a shard is
 *  absent, InvalidInput where index and shards disagree. */
std::vector<SafetensorsFile> open_checkpoint(
    const std::filesystem::path& folder);

}  // namespace skua
