#include "base/safetensors.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <tuple>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

namespace dom = simdjson::dom;

static_assert(std::endian::native == std::endian::little,
              "safetensors numbers are read as they lie in the file");

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct DtypeInfo {
  std::string_view name;
  int bits;
};

// In the order of SafeDtype.
constexpr std::array<DtypeInfo, 20> kDtypes = {
    {{"BOOL", 8},    {"U8", 8},   {"I8", 8},      {"U16", 16},
     {"I16", 16},    {"U32", 32}, {"I32", 32},    {"U64", 64},
     {"I64", 64},    {"F16", 16}, {"BF16", 16},   {"F32", 32},
     {"F64", 64},    {"C64", 64}, {"F8_E4M3", 8}, {"F8_E5M2", 8},
     {"F8_E8M0", 8}, {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6}}};
static_assert(kDtypes.size() == static_cast<int>(SafeDtype::kF6E3M2) + 1);

/** One file's place in error messages, with the tensor at hand. */
class Place {
 public:
  explicit Place(std::string path) : path_(std::move(path)) {}
  void enter(std::string_view tensor) { tensor_ = tensor; }

  [[noreturn]] void fail(const std::string& what) const {
    throw InvalidInput(path_, what + "; the file is damaged, get it again");
  }
  [[noreturn]] void fail_tensor(const std::string& what) const {
    fail("tensor " + quote(tensor_) + " " + what);
  }

 private:
  std::string path_;
  std::string_view tensor_;
};

/** A tensor as the header describes it. */
struct Record {
  std::string_view name;
  SafeDtype dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// The members of an object, which must have distinct names.
void check_distinct(const Place& place, dom::object object) {
  std::set<std::string_view> names;
  for (const auto& member : object) {
    if (!names.insert(member.key).second)
      place.fail("name " + quote(member.key) + " occurs twice");
  }
}

std::map<std::string, std::string> read_string_map(const Place& place,
                                                   dom::element value,
                                                   const char* what) {
  dom::object object;
  if (value.get(object))
    place.fail(std::string(what) + " is not an object of strings");
  check_distinct(place, object);
  std::map<std::string, std::string> strings;
  for (const auto& member : object) {
    std::string_view text;
    if (member.value.get(text))
      place.fail(std::string(what) + " entry " + quote(member.key) +
                 " is not a string");
    strings.emplace(member.key, text);
  }
  return strings;
}

SafeDtype read_dtype(const Place& place, dom::element value) {
  std::string_view name;
  if (value.get(name)) place.fail_tensor("has a dtype that is no string");
  const auto found =
      std::find_if(kDtypes.begin(), kDtypes.end(),
                   [&](const DtypeInfo& info) { return info.name == name; });
  if (found == kDtypes.end())
    place.fail_tensor("has an unknown dtype, got " + quote(name));
  return static_cast<SafeDtype>(found - kDtypes.begin());
}

std::vector<std::uint64_t> read_naturals(const Place& place, dom::element value,
                                         const char* what) {
  dom::array array;
  if (value.get(array))
    place.fail_tensor("has " + std::string(what) + " that is no array");
  std::vector<std::uint64_t> numbers;
  for (const dom::element element : array) {
    std::uint64_t number = 0;
    if (element.get(number) ||
        number > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      place.fail_tensor("has " + std::string(what) +
                        " with an entry that is no integer from 0 to "
                        "2^63 - 1");
    }
    numbers.push_back(number);
  }
  return numbers;
}

// Bytes that shape and dtype ask for.
std::uint64_t count_bytes(const Place& place, const Record& record) {
  std::uint64_t n_bits = safe_dtype_bits(record.dtype);
  for (const std::int64_t dimension : record.shape) {
    const auto factor = static_cast<std::uint64_t>(dimension);
    if (factor != 0 &&
        n_bits > std::numeric_limits<std::uint64_t>::max() / factor)
      place.fail_tensor("has a shape whose size overflows");
    n_bits *= factor;
  }
  if (n_bits % 8 != 0) place.fail_tensor("does not fill whole bytes");
  return n_bits / 8;
}

Record read_record(const Place& place, std::string_view name,
                   dom::element value) {
  dom::object object;
  if (value.get(object)) place.fail_tensor("has a record that is no object");
  check_distinct(place, object);
  dom::element dtype, shape, offsets;
  if (object["dtype"].get(dtype)) place.fail_tensor("has no dtype");
  if (object["shape"].get(shape)) place.fail_tensor("has no shape");
  if (object["data_offsets"].get(offsets))
    place.fail_tensor("has no data_offsets");

  Record record;
  record.name = name;
  record.dtype = read_dtype(place, dtype);
  for (const std::uint64_t dimension : read_naturals(place, shape, "a shape"))
    record.shape.push_back(static_cast<std::int64_t>(dimension));
  const auto range = read_naturals(place, offsets, "data_offsets");
  if (range.size() != 2 || range[0] > range[1])
    place.fail_tensor("has data_offsets that are not [begin, end]");
  record.begin = range[0];
  record.end = range[1];
  const std::uint64_t n_bytes = count_bytes(place, record);
  if (n_bytes != record.end - record.begin) {
    place.fail_tensor("has a shape that does not match its data_offsets, got " +
                      std::to_string(record.end - record.begin) +
                      " bytes, expected " + std::to_string(n_bytes));
  }
  return record;
}

// Sorts by place in the file and checks that the data is filled exactly.
void check_layout(Place& place, std::vector<Record>& records,
                  std::uint64_t n_bytes) {
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) {
              return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
            });
  std::uint64_t position = 0;
  for (const Record& record : records) {
    place.enter(record.name);
    if (record.begin != position)
      place.fail_tensor("overlaps another or leaves a hole, got begin " +
                        std::to_string(record.begin) + ", expected " +
                        std::to_string(position));
    position = record.end;
  }
  if (position != n_bytes)
    place.fail("tensors do not fill the file, got " + std::to_string(position) +
               " bytes of tensors, expected " + std::to_string(n_bytes));
}

// The JSON text that the file begins with.
std::string_view find_header(const Place& place,
                             std::span<const std::byte> bytes) {
  std::uint64_t n_bytes = 0;
  if (bytes.size() < sizeof n_bytes)
    place.fail("file is too short for a safetensors header, got " +
               std::to_string(bytes.size()) + " bytes");
  std::memcpy(&n_bytes, bytes.data(), sizeof n_bytes);
  const std::uint64_t most =
      std::min<std::uint64_t>(kMaxHeaderBytes, bytes.size() - sizeof n_bytes);
  if (n_bytes > most)
    place.fail("header length is too large, got " + std::to_string(n_bytes) +
               ", expected at most " + std::to_string(most));
  const auto text = bytes.subspan(sizeof n_bytes, n_bytes);
  if (text.empty() || text[0] != std::byte{'{'})
    place.fail("header does not begin with '{'");
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

dom::object parse_object(const Place& place, dom::parser& parser,
                         std::string_view text, const char* what) {
  dom::object object;
  const auto error = parser.parse(text.data(), text.size()).get(object);
  if (error)
    place.fail(std::string(what) +
               " is not a JSON object: " + simdjson::error_message(error));
  return object;
}

// Shard names and the tensors that the index puts into each.
using ShardTensors = std::map<std::string, std::set<std::string>>;

// A shard lies in the folder of its index, whatever the index says.
bool is_bare_file_name(std::string_view name) {
  return name.ends_with(".safetensors") &&
         name.find_first_of(std::string_view("/\\\0", 3)) ==
             std::string_view::npos;
}

ShardTensors read_index(const std::filesystem::path& path) {
  const Place place(path.string());
  const std::string text = read_file(path, kMaxHeaderBytes);
  dom::parser parser;
  const dom::object index = parse_object(place, parser, text, "index");
  check_distinct(place, index);
  dom::element weight_map;
  if (index["weight_map"].get(weight_map)) place.fail("has no weight_map");
  ShardTensors shards;
  for (auto& [tensor, shard] :
       read_string_map(place, weight_map, "weight_map")) {
    if (!is_bare_file_name(shard))
      place.fail("weight_map of " + quote(tensor) + ", got " + quote(shard) +
                 ", expected the bare name of a .safetensors file");
    shards[shard].insert(tensor);
  }
  if (shards.empty()) place.fail("weight_map names no tensor");
  return shards;
}

// The shard holds just the tensors that the index puts there.
void check_shard(const SafetensorsFile& file, std::set<std::string> expected) {
  const Place place(file.path().string());
  for (const SafeTensor& tensor : file.tensors()) {
    if (expected.erase(tensor.name) == 0)
      place.fail("tensor " + quote(tensor.name) +
                 " is not one that the index puts into this file");
  }
  if (!expected.empty())
    place.fail("tensor " + quote(*expected.begin()) +
               " is missing, the index puts it into this file");
}

}  // namespace

std::string_view safe_dtype_name(SafeDtype dtype) {
  return kDtypes[static_cast<std::size_t>(dtype)].name;
}

int safe_dtype_bits(SafeDtype dtype) {
  return kDtypes[static_cast<std::size_t>(dtype)].bits;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path) {
  Place place(path.string());
  const std::string_view text = find_header(place, file_.bytes());
  const auto data = file_.bytes().subspan(sizeof(std::uint64_t) + text.size());

  dom::parser parser;
  const dom::object header = parse_object(place, parser, text, "header");
  check_distinct(place, header);
  std::vector<Record> records;
  records.reserve(header.size());
  for (const auto& member : header) {
    place.enter(member.key);
    if (member.key == "__metadata__")
      metadata_ = read_string_map(place, member.value, "__metadata__");
    else
      records.push_back(read_record(place, member.key, member.value));
  }
  check_layout(place, records, data.size());
  tensors_.reserve(records.size());
  for (Record& record : records) {
    tensors_.push_back({std::string(record.name), record.dtype,
                        std::move(record.shape),
                        data.subspan(record.begin, record.end - record.begin)});
  }
}

std::vector<SafetensorsFile> open_checkpoint(
    const std::filesystem::path& folder) {
  const auto index = folder / "model.safetensors.index.json";
  const auto single = folder / "model.safetensors";
  std::error_code ignored;
  std::vector<SafetensorsFile> files;
  if (std::filesystem::exists(index, ignored)) {
    for (auto& [name, tensors] : read_index(index)) {
      files.emplace_back(folder / name);
      check_shard(files.back(), std::move(tensors));
    }
  } else if (std::filesystem::exists(single, ignored)) {
    files.emplace_back(single);
  } else {
    throw NotFound(folder.string(),
                   "has neither model.safetensors nor "
                   "model.safetensors.index.json");
  }
  return files;
}

}  // namespace skua
