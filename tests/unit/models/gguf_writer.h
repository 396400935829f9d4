#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/gguf.h"
#include "tests/support.h"

namespace skua::test {

/** A small valid GGUF file (version 3), made of the values that are set. */
class GgufWriter {
 public:
  GgufWriter& text(std::string_view key, std::string_view value) {
    set(key, 8, length(value.size()) + std::string(value));
    return *this;
  }
  GgufWriter& integer(std::string_view key, std::uint32_t value) {
    set(key, 4, bytes(value));
    return *this;
  }
  GgufWriter& number(std::string_view key, float value) {
    set(key, 6, bytes(value));
    return *this;
  }
  GgufWriter& texts(std::string_view key,
                    const std::vector<std::string>& values) {
    std::string all = bytes(std::uint32_t{8}) + length(values.size());
    for (const std::string& value : values) all += length(value.size()) + value;
    set(key, 9, all);
    return *this;
  }
  GgufWriter& numbers(std::string_view key, const std::vector<float>& values) {
    std::string all = bytes(std::uint32_t{6}) + length(values.size());
    for (const float value : values) all += bytes(value);
    set(key, 9, all);
    return *this;
  }
  GgufWriter& integers(std::string_view key,
                       const std::vector<std::int32_t>& values) {
    std::string all = bytes(std::uint32_t{5}) + length(values.size());
    for (const std::int32_t value : values) all += bytes(value);
    set(key, 9, all);
    return *this;
  }
  GgufWriter& remove(std::string_view key) {
    std::erase_if(entries_, [&](const auto& e) { return e.first == key; });
    return *this;
  }

  /** shape  outermost dimension first */
  GgufWriter& tensor(const std::string& name, std::vector<std::int64_t> shape,
                     GgmlType type, std::string data) {
    remove_tensor(name);
    tensors_.push_back({name, std::move(shape), type, std::move(data)});
    return *this;
  }
  GgufWriter& tensor(const std::string& name, std::vector<std::int64_t> shape,
                     const std::vector<float>& values) {
    std::string data;
    for (const float value : values) data += bytes(value);
    return tensor(name, std::move(shape), GgmlType::kF32, data);
  }
  GgufWriter& remove_tensor(const std::string& name) {
    std::erase_if(tensors_, [&](const auto& t) { return t.name == name; });
    return *this;
  }

  void write(const std::filesystem::path& path) const {
    std::string head = "GGUF" + bytes(std::uint32_t{3}) +
                       length(tensors_.size()) + length(entries_.size());
    for (const auto& [key, value] : entries_)
      head += length(key.size()) + key + value;
    std::string data;
    for (const Tensor& t : tensors_) {
      head += length(t.name.size()) + t.name +
              bytes(static_cast<std::uint32_t>(t.shape.size()));
      for (auto d = t.shape.rbegin(); d != t.shape.rend(); ++d)
        head += length(static_cast<std::size_t>(*d));
      head += bytes(static_cast<std::uint32_t>(t.type)) + length(data.size());
      data += t.data;
      pad(data);
    }
    pad(head);
    write_text(path, head + data);
  }

 private:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    GgmlType type;
    std::string data;
  };

  template <class T>
  static std::string bytes(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string length(std::size_t n) {
    return bytes(static_cast<std::uint64_t>(n));
  }
  static void pad(std::string& data) {
    data.resize((data.size() + 31) / 32 * 32);
  }
  void set(std::string_view key, std::uint32_t type, const std::string& value) {
    remove(key);
    entries_.emplace_back(key, bytes(type) + value);
  }

  std::vector<std::pair<std::string, std::string>> entries_;
  std::vector<Tensor> tensors_;
};

}  // namespace skua::test
