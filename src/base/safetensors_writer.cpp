#include <cstring>

#include "base/json.h"
#include "base/safetensors.h"
#include "skua/error.h"

namespace skua {
namespace {

// Numbers begin at multiples of it, so that they can be used in place.
constexpr std::size_t kAlignment = 8;

std::size_t bytes_of(const SafeTensor& tensor) {
  auto n = static_cast<std::size_t>(safe_dtype_bits(tensor.dtype));
  for (const std::int64_t size : tensor.shape)
    n *= static_cast<std::size_t>(size);
  return n / 8;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<SafeTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const SafeTensor& tensor : tensors) {
    const auto end = at + tensor.data.size();
    if (bytes_of(tensor) != tensor.data.size() ||
        header.contains(tensor.name)) {
      throw InvalidInput(path.string(), "tensor " + tensor.name +
                                            " comes twice or has data that "
                                            "its shape does not fit");
    }
    header[tensor.name] = {{"dtype", safe_dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text =
      header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t n_bytes = text.size();
  std::string size(sizeof n_bytes, '\0');
  std::memcpy(size.data(), &n_bytes, sizeof n_bytes);
  std::vector<std::string_view> parts = {size, text};
  for (const SafeTensor& tensor : tensors) {
    parts.emplace_back(reinterpret_cast<const char*>(tensor.data.data()),
                       tensor.data.size());
  }
  write_file_atomic(path, parts);
}

}  // namespace skua
