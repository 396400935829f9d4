#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"

namespace skua {

/** Tensor encodings of a GGUF file, numbered as in the file. */
enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

struct GgmlTypeInfo {
  std::string_view name;
  std::size_t block_size;   // values in one block
  std::size_t block_bytes;  // bytes of one block
};

/** Size of the blocks of `type`. Throws Unsupported for a type that is not
 *  in GgmlType. */
GgmlTypeInfo ggml_type_info(GgmlType type);

struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<std::int64_t> shape;  // outermost dimension first
  std::span<const std::byte> data;  // inside the mapping, 8-byte aligned
};

/** A metadata value. Numbers are widened; arrays keep their element kind.
 *  Strings point into the mapping. */
using GgufValue =
    std::variant<bool, std::uint64_t, std::int64_t, double, std::string_view,
                 std::vector<bool>, std::vector<std::uint64_t>,
                 std::vector<std::int64_t>, std::vector<double>,
                 std::vector<std::string_view>>;

/** A GGUF file (version 2 or 3), mapped and checked: every count, length,
 *  offset and dimension lies inside the file before it is used. Keys and
 *  tensors are unique, tensors share no byte and have whole blocks.
 *  Source: the GGUF description in ggml's docs/gguf.md. */
class GgufFile {
 public:
  /** Throws NotFound, Error, InvalidInput (damaged; names file and field),
   *  Unsupported (version, tensor type, array of arrays). */
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const MappedFile& file() const { return file_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const {
    return metadata_;
  }

  const GgufValue* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /** The value at `key`; the one-argument forms throw InvalidInput where it
   *  is absent, all throw InvalidInput where it is of another kind or does
   *  not fit. Integers of either sign are accepted as int64. */
  std::string_view string(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;  // integer or float
  bool boolean(std::string_view key) const;
  std::string_view string_or(std::string_view key,
                             std::string_view fallback) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback) const;
  double number_or(std::string_view key, double fallback) const;
  bool boolean_or(std::string_view key, bool fallback) const;

  /** Arrays; empty where absent. Throw InvalidInput for another kind. */
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;

 private:
  std::uint64_t read_alignment() const;

  MappedFile file_;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  // Keys point into the mapping; a tree, as hashes of hostile keys collide.
  std::map<std::string_view, std::size_t> index_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace skua
