#include "generate/prompt_cache.h"

#include <mlx/mlx.h>

#include <charconv>
#include <cstring>
#include <optional>

#include "base/quote.h"
#include "base/safetensors.h"
#include "generate/prompt_cache_digest.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr int kMostTokens = 1 << 30;
constexpr const char* kPlain = "KVCache";
constexpr const char* kRotating = "RotatingKVCache";
constexpr const char* kArrays = "ArraysCache";

SafeDtype dtype_of(const mx::array& x) {
  if (x.dtype() == mx::bfloat16) return SafeDtype::kBF16;
  return x.dtype() == mx::float16 ? SafeDtype::kF16 : SafeDtype::kF32;
}

/** What goes into a file, and the memory that it lies in. */
class Writer {
 public:
  explicit Writer(PromptCacheLayout layout)
      : scalars_(layout == PromptCacheLayout::kScalars) {}

  void add(const std::string& name, const mx::array& rows) {
    arrays_.push_back(mx::contiguous(rows));
    mx::array& x = arrays_.back();
    x.eval();
    std::vector<std::int64_t> shape = {1};
    for (const int size : x.shape()) shape.push_back(size);
    add(name, dtype_of(x), std::move(shape), x.data<std::byte>(), x.nbytes());
  }

  // The newer layout has a batch's paddings and lengths too: none.
  void add_state(const std::string& layer,
                 const std::vector<mx::array>& arrays) {
    for (std::size_t i = 0; i < arrays.size(); ++i)
      add(layer + (scalars_ ? ".0." : ".") + std::to_string(i), arrays[i]);
    if (!scalars_) {
      metadata["0." + layer] = "";
      return;
    }
    for (const char* field : {".1", ".2"}) {
      const std::string entry = "2." + std::to_string(++n_scalars_);
      metadata[entry + ".0"] = layer + field;
      metadata[entry + ".1"] = "none";
      add(layer + field, SafeDtype::kF32, {0}, nullptr, 0);
    }
  }

  // Numbers of a layer, which begin at tensor 2 in the newer layout.
  void add_numbers(const std::string& layer, const std::vector<int>& numbers) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::string name =
          layer + "." + std::to_string(scalars_ ? i + 2 : i);
      if (!scalars_) {
        metadata["0." + name] = std::to_string(numbers[i]);
        continue;
      }
      const std::string entry = "2." + std::to_string(++n_scalars_);
      metadata[entry + ".0"] = name;
      metadata[entry + ".1"] = "scalar";
      numbers_.push_back(std::make_unique<std::int32_t>(numbers[i]));
      add(name, SafeDtype::kI32, {},
          reinterpret_cast<const std::byte*>(numbers_.back().get()),
          sizeof(std::int32_t));
    }
  }

  std::vector<SafeTensor> tensors;
  std::map<std::string, std::string> metadata;

 private:
  void add(const std::string& name, SafeDtype dtype,
           std::vector<std::int64_t> shape, const std::byte* data,
           std::size_t n_bytes) {
    tensors.push_back({name, dtype, std::move(shape), {data, n_bytes}});
  }

  bool scalars_;
  int n_scalars_ = 0;
  std::vector<mx::array> arrays_;
  std::vector<std::unique_ptr<std::int32_t>> numbers_;
};

/** A file that is read, with the layer at hand. */
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path) {
    for (const SafeTensor& tensor : file_.tensors())
      tensors_.emplace(tensor.name, &tensor);
    const auto last = file_.metadata().find("2.0");
    if (last == file_.metadata().end())
      fail("has no names of cache classes, expected a prompt cache");
    scalars_ = last->second.empty();
  }

  PromptCacheFile read() {
    PromptCacheFile cache;
    const std::string user = scalars_ ? "0." : "1.";
    for (const auto& [key, value] : file_.metadata()) {
      if (key.starts_with(user)) cache.metadata[key.substr(2)] = value;
    }
    for (layer_ = 0;; ++layer_) {
      const std::string name = std::to_string(layer_);
      const auto found = file_.metadata().find((scalars_ ? "1." : "2.") + name);
      if (found == file_.metadata().end()) break;
      cache.layers.push_back(read_layer(name, found->second));
    }
    check_digest(cache);
    return cache;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InvalidInput(file_.path().string(), what);
  }
  [[noreturn]] void fail_layer(const std::string& what) const {
    fail("layer " + std::to_string(layer_) + " " + what);
  }

  // What other programs write has none.
  void check_digest(const PromptCacheFile& cache) const {
    const auto found = cache.metadata.find(kPromptCacheDigest);
    if (found == cache.metadata.end()) return;
    const std::string digest = digest_of(cache);
    if (digest == found->second) return;
    fail("is damaged or was changed: it has the SHA-256 " + digest +
         ", expected " + quote(found->second));
  }

  PromptCacheLayer read_layer(const std::string& name,
                              const std::string& kind) {
    if (kind == kArrays) return read_state(name);
    if (kind != kPlain && kind != kRotating) {
      throw Unsupported(
          file_.path().string(),
          "layer " + name + " is a " + quote(kind) +
              ", expected a KVCache, RotatingKVCache or ArraysCache");
    }
    const mx::array keys = rows(name + ".0"), values = rows(name + ".1");
    const int n = keys.shape(1);
    if (values.shape(0) != keys.shape(0) || values.shape(1) != n ||
        values.dtype() != keys.dtype())
      fail_layer("has keys and values of different heads, length or type");
    PromptCacheLayer layer{{keys, values}};
    if (kind == kPlain) {
      layer.offset = scalars_ ? scalar(name, 2) : n;
      if (layer.offset > n) fail_layer(counts(layer.offset, n));
      cut(layer, layer.offset);
      return layer;
    }
    // keep, max_size, offset and the cursor, whose place differs.
    layer.keep = scalars_ ? scalar(name, 3) : field(name, 0);
    layer.max_size = scalars_ ? scalar(name, 4) : field(name, 1);
    layer.offset = scalars_ ? scalar(name, 2) : field(name, 2);
    const int cursor = scalars_ ? scalar(name, 5) : field(name, 3);
    unroll(layer, cursor);
    return layer;
  }

  PromptCacheLayer read_state(const std::string& name) {
    PromptCacheLayer layer{{mx::array({}), mx::array({})}};
    const std::string prefix = name + (scalars_ ? ".0." : ".");
    while (tensors_.contains(prefix + std::to_string(layer.state.size())))
      layer.state.push_back(array(prefix + std::to_string(layer.state.size())));
    if (layer.state.empty()) fail_layer("holds no state");
    for (const char* field : {".1", ".2"}) {
      const auto found = tensors_.find(name + field);
      if (scalars_ && found != tensors_.end() && !found->second->data.empty())
        fail_layer("is of a batch, expected one sequence");
    }
    return layer;
  }

  static std::string counts(int offset, int n) {
    return "holds " + std::to_string(n) + " positions of " +
           std::to_string(offset) + " tokens";
  }

  static void cut(PromptCacheLayer& layer, int n) {
    const auto first = [&](const mx::array& x) {
      return mx::slice(x, {0, 0, 0}, {x.shape(0), n, x.shape(2)});
    };
    layer.rows = {first(layer.rows.keys), first(layer.rows.values)};
  }

  // Puts a ring into the order of time.
  void unroll(PromptCacheLayer& layer, int cursor) const {
    int n = layer.rows.keys.shape(1);
    if (layer.keep >= layer.max_size)
      fail_layer("keeps " + std::to_string(layer.keep) + " positions of " +
                 std::to_string(layer.max_size));
    if (layer.offset < n) cut(layer, n = layer.offset);
    if (n < std::min(layer.offset, layer.max_size) || cursor > n ||
        (cursor < n && n > layer.max_size))
      fail_layer(counts(layer.offset, n) + " in a ring of " +
                 std::to_string(layer.max_size) + " with its cursor at " +
                 std::to_string(cursor));
    layer.n_head = std::min(layer.keep, n);
    if (cursor == n || cursor <= layer.n_head) return;
    const auto turned = [&](const mx::array& x) {
      const auto part = [&](int from, int to) {
        return mx::slice(x, {0, from, 0}, {x.shape(0), to, x.shape(2)});
      };
      return mx::concatenate(
          {part(0, layer.n_head), part(cursor, n), part(layer.n_head, cursor)},
          1);
    };
    layer.rows = {turned(layer.rows.keys), turned(layer.rows.values)};
  }

  // [1, n_kv_heads, n, dim] as [n_kv_heads, n, dim].
  mx::array rows(const std::string& name) const {
    mx::array x = array(name);
    if (x.ndim() != 3)
      fail_layer("has a shape that is not [1, n_kv_heads, n, dim]");
    return x;
  }

  // [1, ...] without the 1.
  mx::array array(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) fail("tensor " + quote(name) + " is missing");
    const SafeTensor& tensor = *found->second;
    mx::Shape shape;
    for (const std::int64_t size : tensor.shape) {
      if (size < 1 || size > kMostTokens) break;
      shape.push_back(static_cast<int>(size));
    }
    if (shape.size() < 2 || shape.size() > 8 ||
        tensor.shape.size() != shape.size() || shape[0] != 1)
      fail_layer("has a shape that is not [1, n_kv_heads, n, dim]");
    shape.erase(shape.begin());
    const auto typed = [&](auto number, mx::Dtype dtype) {
      // The file's numbers may lie anywhere.
      std::vector<decltype(number)> copy(tensor.data.size() / sizeof number);
      std::memcpy(copy.data(), tensor.data.data(), tensor.data.size());
      return mx::array(copy.begin(), shape, dtype);
    };
    switch (tensor.dtype) {
      case SafeDtype::kF32:
        return typed(float(), mx::float32);
      case SafeDtype::kF16:
        return typed(mx::float16_t(), mx::float16);
      case SafeDtype::kBF16:
        return typed(mx::bfloat16_t(), mx::bfloat16);
      default:
        fail_layer("holds " + std::string(safe_dtype_name(tensor.dtype)) +
                   ", expected F32, F16 or BF16");
    }
  }

  // A count from 0 to 2^30.
  int checked(const std::string& name, std::optional<std::int64_t> x) const {
    if (!x || *x < 0 || *x > kMostTokens)
      fail("field " + quote(name) + " is missing or no number from 0 to 2^30");
    return static_cast<int>(*x);
  }

  int field(const std::string& layer, int i) const {
    const std::string name = "0." + layer + "." + std::to_string(i);
    const auto found = file_.metadata().find(name);
    std::optional<std::int64_t> value;
    if (found != file_.metadata().end()) {
      const std::string& text = found->second;
      std::int64_t x = 0;
      const auto end = text.data() + text.size();
      if (std::from_chars(text.data(), end, x).ptr == end && !text.empty())
        value = x;
    }
    return checked(name, value);
  }

  int scalar(const std::string& layer, int i) const {
    const std::string name = layer + "." + std::to_string(i);
    const auto found = tensors_.find(name);
    std::optional<std::int64_t> value;
    if (found != tensors_.end()) {
      const SafeTensor& tensor = *found->second;
      std::int32_t x = 0;
      if (tensor.dtype == SafeDtype::kI32 && tensor.data.size() == sizeof x) {
        std::memcpy(&x, tensor.data.data(), sizeof x);
        value = x;
      }
    }
    return checked(name, value);
  }

  SafetensorsFile file_;
  std::map<std::string, const SafeTensor*> tensors_;
  bool scalars_ = false;
  int layer_ = 0;
};

}  // namespace

void write_prompt_cache(const std::filesystem::path& path,
                        const PromptCacheFile& cache,
                        PromptCacheLayout layout) {
  Writer writer(layout);
  const bool scalars = layout == PromptCacheLayout::kScalars;
  for (const auto& [key, value] : cache.metadata)
    writer.metadata[(scalars ? "0." : "1.") + key] = value;
  if (scalars) writer.metadata["2.0"] = "";
  for (std::size_t i = 0; i < cache.layers.size(); ++i) {
    const PromptCacheLayer& layer = cache.layers[i];
    const std::string name = std::to_string(i);
    if (!layer.state.empty()) {
      writer.metadata[(scalars ? "1." : "2.") + name] = kArrays;
      writer.add_state(name, layer.state);
      continue;
    }
    const int n = layer.rows.keys.shape(1);
    const bool rotating = layer.max_size != 0;
    writer.metadata[(scalars ? "1." : "2.") + name] =
        rotating ? kRotating : kPlain;
    writer.add(name + ".0", layer.rows.keys);
    writer.add(name + ".1", layer.rows.values);
    if (scalars) {
      writer.add_numbers(name, rotating ? std::vector{layer.offset, layer.keep,
                                                      layer.max_size, n}
                                        : std::vector{layer.offset});
    } else if (rotating) {
      writer.add_numbers(name, {layer.keep, layer.max_size, layer.offset, n});
    } else {
      writer.metadata["0." + name] = "";
    }
  }
  write_safetensors(path, writer.tensors, writer.metadata);
}

PromptCacheFile read_prompt_cache(const std::filesystem::path& path) {
  return Reader(path).read();
}

}  // namespace skua
