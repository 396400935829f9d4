#include <limits>

#include "base/gguf.h"
#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr std::uint64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

[[noreturn]] void fail(const GgufFile& file, std::string_view key,
                       const std::string& what) {
  throw InvalidInput(file.path().string(),
                     "metadata " + quote(key) + " " + what);
}

const GgufValue& require(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find(key);
  if (!value) fail(file, key, "is missing");
  return *value;
}

std::int64_t to_integer(const GgufFile& file, std::string_view key,
                        std::uint64_t value) {
  if (value > kMaxInteger)
    fail(file, key, "is too large, got " + std::to_string(value));
  return static_cast<std::int64_t>(value);
}

std::string_view to_string_view(const GgufFile& file, std::string_view key,
                                const GgufValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return *text;
  fail(file, key, "is of another kind, expected a string");
}

std::int64_t to_integer(const GgufFile& file, std::string_view key,
                        const GgufValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<std::uint64_t>(&value))
    return to_integer(file, key, *number);
  fail(file, key, "is of another kind, expected an integer");
}

double to_number(const GgufFile& file, std::string_view key,
                 const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(&value))
    return static_cast<double>(*number);
  if (const auto* number = std::get_if<std::uint64_t>(&value))
    return static_cast<double>(*number);
  fail(file, key, "is of another kind, expected a number");
}

bool to_boolean(const GgufFile& file, std::string_view key,
                const GgufValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  fail(file, key, "is of another kind, expected a boolean");
}

}  // namespace

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &metadata_[found->second].second;
}

std::string_view GgufFile::string(std::string_view key) const {
  return to_string_view(*this, key, require(*this, key));
}

std::int64_t GgufFile::integer(std::string_view key) const {
  return to_integer(*this, key, require(*this, key));
}

double GgufFile::number(std::string_view key) const {
  return to_number(*this, key, require(*this, key));
}

bool GgufFile::boolean(std::string_view key) const {
  return to_boolean(*this, key, require(*this, key));
}

std::string_view GgufFile::string_or(std::string_view key,
                                     std::string_view fallback) const {
  const GgufValue* value = find(key);
  return value ? to_string_view(*this, key, *value) : fallback;
}

std::int64_t GgufFile::integer_or(std::string_view key,
                                  std::int64_t fallback) const {
  const GgufValue* value = find(key);
  return value ? to_integer(*this, key, *value) : fallback;
}

double GgufFile::number_or(std::string_view key, double fallback) const {
  const GgufValue* value = find(key);
  return value ? to_number(*this, key, *value) : fallback;
}

bool GgufFile::boolean_or(std::string_view key, bool fallback) const {
  const GgufValue* value = find(key);
  return value ? to_boolean(*this, key, *value) : fallback;
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (const auto* array = std::get_if<std::vector<std::string_view>>(value))
    return *array;
  fail(*this, key, "is of another kind, expected an array of strings");
}

std::vector<std::int64_t> GgufFile::integers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (const auto* array = std::get_if<std::vector<std::int64_t>>(value))
    return *array;
  const auto* array = std::get_if<std::vector<std::uint64_t>>(value);
  if (!array)
    fail(*this, key, "is of another kind, expected an array of integers");
  std::vector<std::int64_t> numbers;
  numbers.reserve(array->size());
  for (const std::uint64_t number : *array)
    numbers.push_back(to_integer(*this, key, number));
  return numbers;
}

std::vector<double> GgufFile::numbers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (const auto* array = std::get_if<std::vector<double>>(value))
    return *array;
  if (const auto* array = std::get_if<std::vector<std::uint64_t>>(value))
    return {array->begin(), array->end()};
  if (const auto* array = std::get_if<std::vector<std::int64_t>>(value))
    return {array->begin(), array->end()};
  fail(*this, key, "is of another kind, expected an array of numbers");
}

}  // namespace skua
