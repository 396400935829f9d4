#include "base/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

static_assert(std::endian::native == std::endian::little,
              "GGUF numbers are read as they lie in the file");

constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::int64_t kDefaultAlignment = 32;
constexpr std::int64_t kMinAlignment = 8;
// Fewest bytes that an entry takes: name length, type and one byte of value;
// name length, dimension count, type and offset.
constexpr std::uint64_t kMinEntryBytes = 8 + 4 + 1;
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;

enum class ValueType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/** Reads forward through the file; every read is checked against its end. */
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string path)
      : bytes_(bytes), path_(std::move(path)) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t remaining() const { return bytes_.size() - position_; }

  /** What errors are about from here on, e.g. "tensor" and its name. */
  void enter(const char* kind, std::string_view name) {
    kind_ = kind;
    name_ = name;
  }

  std::string subject() const {
    return kind_ ? std::string(kind_) + " " + quote(name_) + ": " : "";
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw InvalidInput(
        path_, subject() + what + "; the file is damaged, get it again");
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Unsupported(path_, subject() + what);
  }

  /** The next `count` elements of `element_bytes` each. */
  std::span<const std::byte> take(std::uint64_t count,
                                  std::uint64_t element_bytes,
                                  const char* what) {
    if (count > remaining() / element_bytes) {
      fail(std::string(what) + " runs past the end of the file, got " +
           std::to_string(count) + ", expected at most " +
           std::to_string(remaining() / element_bytes));
    }
    const auto part = bytes_.subspan(position_, count * element_bytes);
    position_ += part.size();
    return part;
  }

  template <class T>
  T read(const char* what) {
    T value;
    std::memcpy(&value, take(1, sizeof value, what).data(), sizeof value);
    return value;
  }

  std::string_view read_string(const char* what) {
    const auto n_bytes = read<std::uint64_t>(what);
    const auto text = take(n_bytes, 1, what);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string path_;
  std::uint64_t position_ = 0;
  const char* kind_ = nullptr;
  std::string_view name_;
};

// The readers of values: one value where `count` is null, else an array.

template <class InFile, class Widened>
GgufValue read_numbers(Cursor& in, const std::uint64_t* count) {
  if (!count) return Widened{in.read<InFile>("value")};
  const auto bytes = in.take(*count, sizeof(InFile), "array");
  std::vector<Widened> values(*count);
  for (std::size_t i = 0; i < values.size(); ++i) {
    InFile value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    values[i] = value;
  }
  return values;
}

GgufValue read_booleans(Cursor& in, const std::uint64_t* count) {
  const auto bytes = in.take(count ? *count : 1, 1, "boolean");
  const auto bad = std::find_if(bytes.begin(), bytes.end(),
                                [](std::byte b) { return b > std::byte{1}; });
  if (bad != bytes.end()) {
    in.fail("is not a boolean, got " +
            std::to_string(std::to_integer<int>(*bad)) + ", expected 0 or 1");
  }
  if (!count) return bytes[0] == std::byte{1};
  std::vector<bool> values(bytes.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = bytes[i] == std::byte{1};
  return values;
}

GgufValue read_strings(Cursor& in, const std::uint64_t* count) {
  if (!count) return in.read_string("string");
  if (*count > in.remaining() / sizeof(std::uint64_t))
    in.take(*count, sizeof(std::uint64_t), "array of strings");
  std::vector<std::string_view> values(*count);
  for (auto& value : values) value = in.read_string("string");
  return values;
}

GgufValue read_value(Cursor& in, ValueType type, const std::uint64_t* count) {
  switch (type) {
    case ValueType::kU8:
      return read_numbers<std::uint8_t, std::uint64_t>(in, count);
    case ValueType::kI8:
      return read_numbers<std::int8_t, std::int64_t>(in, count);
    case ValueType::kU16:
      return read_numbers<std::uint16_t, std::uint64_t>(in, count);
    case ValueType::kI16:
      return read_numbers<std::int16_t, std::int64_t>(in, count);
    case ValueType::kU32:
      return read_numbers<std::uint32_t, std::uint64_t>(in, count);
    case ValueType::kI32:
      return read_numbers<std::int32_t, std::int64_t>(in, count);
    case ValueType::kF32:
      return read_numbers<float, double>(in, count);
    case ValueType::kBool:
      return read_booleans(in, count);
    case ValueType::kString:
      return read_strings(in, count);
    case ValueType::kArray: {
      if (count) in.unsupported("is an array of arrays");
      const auto element = in.read<ValueType>("element type");
      const auto n_elements = in.read<std::uint64_t>("array length");
      return read_value(in, element, &n_elements);
    }
    case ValueType::kU64:
      return read_numbers<std::uint64_t, std::uint64_t>(in, count);
    case ValueType::kI64:
      return read_numbers<std::int64_t, std::int64_t>(in, count);
    case ValueType::kF64:
      return read_numbers<double, double>(in, count);
  }
  in.fail("has an unknown type, got " +
          std::to_string(static_cast<std::uint32_t>(type)) +
          ", expected 0 to 12");
}

struct Header {
  std::uint64_t n_tensors = 0;
  std::uint64_t n_entries = 0;
};

Header read_header(Cursor& in) {
  constexpr std::uint64_t kMagicBytes = 4;
  if (in.size() < kMagicBytes ||
      std::memcmp(in.take(kMagicBytes, 1, "magic number").data(), "GGUF",
                  kMagicBytes) != 0)
    in.fail("is not a GGUF file, expected it to begin with 'GGUF'");
  const auto version = in.read<std::uint32_t>("version");
  if (version != 2 && version != 3) {
    in.unsupported("GGUF version, got " + std::to_string(version) +
                   ", expected 2 or 3 in little-endian order");
  }
  Header header;
  header.n_tensors = in.read<std::uint64_t>("tensor count");
  header.n_entries = in.read<std::uint64_t>("metadata count");
  // One after the other: the sum of two hostile counts could wrap.
  const std::uint64_t n_bytes = in.remaining();
  if (header.n_tensors > n_bytes / kMinTensorBytes)
    in.fail("tensor count is more than the file can hold, got " +
            std::to_string(header.n_tensors));
  if (header.n_entries > n_bytes / kMinEntryBytes)
    in.fail("metadata count is more than the file can hold, got " +
            std::to_string(header.n_entries));
  return header;
}

/** A tensor as its record describes it, before its data is found. */
struct Record {
  std::string_view name;
  GgmlType type;
  std::vector<std::int64_t> shape;
  std::uint64_t n_bytes = 0;
  std::uint64_t offset = 0;
};

// Names of encodings that other programs write, for the error message.
std::string_view foreign_type_name(std::uint32_t type) {
  static const std::map<std::uint32_t, std::string_view> kNames = {
      {9, "Q8_1"},     {15, "Q8_K"},   {16, "IQ2_XXS"}, {17, "IQ2_XS"},
      {18, "IQ3_XXS"}, {19, "IQ1_S"},  {20, "IQ4_NL"},  {21, "IQ3_S"},
      {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
      {26, "I32"},     {27, "I64"},    {28, "F64"},     {29, "IQ1_M"},
      {34, "TQ1_0"},   {35, "TQ2_0"},  {39, "MXFP4"},   {40, "NVFP4"}};
  const auto found = kNames.find(type);
  return found == kNames.end() ? "unknown" : found->second;
}

std::optional<GgmlTypeInfo> find_type_info(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return GgmlTypeInfo{"F32", 1, 4};
    case GgmlType::kF16:
      return GgmlTypeInfo{"F16", 1, 2};
    case GgmlType::kQ4_0:
      return GgmlTypeInfo{"Q4_0", 32, 2 + 16};
    case GgmlType::kQ4_1:
      return GgmlTypeInfo{"Q4_1", 32, 4 + 16};
    case GgmlType::kQ5_0:
      return GgmlTypeInfo{"Q5_0", 32, 2 + 4 + 16};
    case GgmlType::kQ5_1:
      return GgmlTypeInfo{"Q5_1", 32, 4 + 4 + 16};
    case GgmlType::kQ8_0:
      return GgmlTypeInfo{"Q8_0", 32, 2 + 32};
    case GgmlType::kQ2_K:
      return GgmlTypeInfo{"Q2_K", 256, 16 + 64 + 4};
    case GgmlType::kQ3_K:
      return GgmlTypeInfo{"Q3_K", 256, 32 + 64 + 12 + 2};
    case GgmlType::kQ4_K:
      return GgmlTypeInfo{"Q4_K", 256, 4 + 12 + 128};
    case GgmlType::kQ5_K:
      return GgmlTypeInfo{"Q5_K", 256, 4 + 12 + 32 + 128};
    case GgmlType::kQ6_K:
      return GgmlTypeInfo{"Q6_K", 256, 128 + 64 + 16 + 2};
    case GgmlType::kBF16:
      return GgmlTypeInfo{"BF16", 1, 2};
  }
  return std::nullopt;
}

// The dimensions, outermost first; the file has them innermost first.
std::vector<std::int64_t> read_shape(Cursor& in) {
  const auto n_dimensions = in.read<std::uint32_t>("dimension count");
  if (n_dimensions > kMaxDimensions)
    in.fail("has too many dimensions, got " + std::to_string(n_dimensions) +
            ", expected at most " + std::to_string(kMaxDimensions));
  std::vector<std::int64_t> shape(n_dimensions);
  for (auto it = shape.rbegin(); it != shape.rend(); ++it) {
    *it = in.read<std::int64_t>("dimension");
    if (*it <= 0) in.fail("has a dimension that is zero or above 2^63 - 1");
  }
  return shape;
}

// Bytes of the tensor, at most the size of the file.
std::uint64_t count_bytes(const Cursor& in, const Record& record) {
  const GgmlTypeInfo info = ggml_type_info(record.type);
  const std::uint64_t n_inner =
      record.shape.empty() ? 1
                           : static_cast<std::uint64_t>(record.shape.back());
  if (n_inner % info.block_size != 0) {
    in.fail("has a row that is not whole blocks of " + std::string(info.name) +
            ", got " + std::to_string(n_inner) +
            " values, expected a multiple of " +
            std::to_string(info.block_size));
  }
  std::uint64_t n_bytes = info.block_bytes;
  const auto multiply = [&](std::uint64_t factor) {
    if (factor > in.size() / n_bytes)
      in.fail("is larger than the file, which has " +
              std::to_string(in.size()) + " bytes");
    n_bytes *= factor;
  };
  multiply(n_inner / info.block_size);
  for (std::size_t i = 0; i + 1 < record.shape.size(); ++i)
    multiply(static_cast<std::uint64_t>(record.shape[i]));
  return n_bytes;
}

Record read_record(Cursor& in) {
  in.enter("tensor", "");
  Record record;
  record.name = in.read_string("name");
  in.enter("tensor", record.name);
  record.shape = read_shape(in);
  record.type = in.read<GgmlType>("type");
  if (!find_type_info(record.type)) {
    const auto type = static_cast<std::uint32_t>(record.type);
    in.unsupported("encoding, got " + std::string(foreign_type_name(type)) +
                   " (" + std::to_string(type) +
                   "), expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 "
                   "or Q2_K to Q6_K");
  }
  record.n_bytes = count_bytes(in, record);
  record.offset = in.read<std::uint64_t>("offset");
  return record;
}

// No two tensors may share bytes: writers lay them out one after another.
void check_overlap(Cursor& in, const std::vector<Record>& records) {
  std::vector<const Record*> order;
  for (const Record& record : records) order.push_back(&record);
  std::sort(order.begin(), order.end(), [](const Record* a, const Record* b) {
    return a->offset < b->offset;
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->offset - order[i - 1]->offset >= order[i - 1]->n_bytes)
      continue;
    in.enter("tensor", order[i]->name);
    in.fail("shares bytes with tensor " + quote(order[i - 1]->name));
  }
}

// Where the tensor lies; `data` is the part of the file that holds tensors.
std::span<const std::byte> locate(Cursor& in, const Record& record,
                                  std::span<const std::byte> data,
                                  std::uint64_t alignment) {
  in.enter("tensor", record.name);
  if (record.offset % alignment != 0)
    in.fail("is not aligned, got offset " + std::to_string(record.offset) +
            ", expected a multiple of " + std::to_string(alignment));
  if (record.offset > data.size() ||
      record.n_bytes > data.size() - record.offset) {
    in.fail("lies outside the file, got " + std::to_string(record.n_bytes) +
            " bytes at offset " + std::to_string(record.offset) +
            ", expected them within " + std::to_string(data.size()));
  }
  return data.subspan(record.offset, record.n_bytes);
}

}  // namespace

GgmlTypeInfo ggml_type_info(GgmlType type) {
  if (const auto info = find_type_info(type)) return *info;
  throw Unsupported("ggml_type_info",
                    "tensor encoding, got " +
                        std::to_string(static_cast<std::uint32_t>(type)));
}

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path) {
  Cursor in(file_.bytes(), path.string());
  const Header header = read_header(in);

  metadata_.reserve(header.n_entries);
  for (std::uint64_t i = 0; i < header.n_entries; ++i) {
    in.enter("metadata", "");
    const std::string_view key = in.read_string("key");
    in.enter("metadata", key);
    if (key.size() > kMaxKeyBytes)
      in.fail("key is too long, got " + std::to_string(key.size()) +
              " bytes, expected at most " + std::to_string(kMaxKeyBytes));
    if (!index_.emplace(key, metadata_.size()).second)
      in.fail("key occurs twice");
    const auto type = in.read<ValueType>("value type");
    metadata_.emplace_back(key, read_value(in, type, nullptr));
  }
  string_or("general.architecture", "");

  std::vector<Record> records;
  records.reserve(header.n_tensors);
  std::set<std::string_view> names;
  for (std::uint64_t i = 0; i < header.n_tensors; ++i) {
    records.push_back(read_record(in));
    if (!names.insert(records.back().name).second) in.fail("occurs twice");
  }

  const std::uint64_t alignment = read_alignment();
  const std::uint64_t n_padding =
      (alignment - in.position() % alignment) % alignment;
  const auto data = file_.bytes().subspan(in.position() +
                                          std::min(n_padding, in.remaining()));
  check_overlap(in, records);
  tensors_.reserve(records.size());
  for (Record& record : records) {
    const auto bytes = locate(in, record, data, alignment);
    tensors_.push_back({std::string(record.name), record.type,
                        std::move(record.shape), bytes});
  }
}

std::uint64_t GgufFile::read_alignment() const {
  const std::int64_t alignment =
      integer_or("general.alignment", kDefaultAlignment);
  const auto value = static_cast<std::uint64_t>(alignment);
  if (alignment < kMinAlignment || !std::has_single_bit(value)) {
    throw InvalidInput(path().string(), "metadata 'general.alignment', got " +
                                            std::to_string(alignment) +
                                            ", expected a power of two from " +
                                            std::to_string(kMinAlignment));
  }
  return value;
}

}  // namespace skua
