#include "models/config.h"

#include <cmath>
#include <cstdint>

#include "skua/error.h"

namespace skua {

Config::Config(Json values, std::string where)
    : values_(std::move(values)), where_(std::move(where)) {
  if (!values_.is_object())
    throw InvalidInput(where_, "is expected to be an object");
}

const Json* Config::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() || found->is_null() ? nullptr : &*found;
}

int Config::size(const std::string& key) const {
  constexpr std::int64_t kMax = std::int64_t{1} << 30;
  const Json* value = find(key);
  if (value == nullptr) throw InvalidInput(where_, key + " is missing");
  const bool fits =
      value->is_number_integer() &&
      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= kMax) &&
      value->get<std::int64_t>() >= 1 && value->get<std::int64_t>() <= kMax;
  if (!fits) {
    throw InvalidInput(where_, key + " is " + dump_json(*value) +
                                   ", expected an integer from 1 to 2^30");
  }
  return value->get<int>();
}

int Config::size_or(const std::string& key, int fallback) const {
  return has(key) ? size(key) : fallback;
}

double Config::number(const std::string& key) const {
  const Json* value = find(key);
  if (value == nullptr) throw InvalidInput(where_, key + " is missing");
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    throw InvalidInput(
        where_, key + " is " + dump_json(*value) + ", expected a number");
  }
  return value->get<double>();
}

double Config::number_or(const std::string& key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool Config::flag_or(const std::string& key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) {
    throw InvalidInput(
        where_, key + " is " + dump_json(*value) + ", expected true or false");
  }
  return value->get<bool>();
}

std::string Config::text(const std::string& key) const {
  const Json* value = find(key);
  if (value == nullptr) throw InvalidInput(where_, key + " is missing");
  if (!value->is_string()) {
    throw InvalidInput(
        where_, key + " is " + dump_json(*value) + ", expected a string");
  }
  return value->get<std::string>();
}

std::string Config::text_or(const std::string& key,
                            const std::string& fallback) const {
  return has(key) ? text(key) : fallback;
}

Config Config::section(const std::string& key) const {
  const Json* value = find(key);
  if (value == nullptr) throw InvalidInput(where_, key + " is missing");
  return Config(*value, where_ + " " + key);
}

Config Config::with(const std::string& key, Json value) const {
  Config changed = *this;
  changed.values_[key] = std::move(value);
  return changed;
}

RopeConfig rope_config(const Config& config, int head_dim, double default_base,
                       double default_factor) {
  RopeConfig rope;
  rope.base = default_base;
  double factor = default_factor;
  if (config.has("rope_parameters")) {
    const Config nested = config.section("rope_parameters");
    rope.base = nested.number_or("rope_theta", rope.base);
    factor = nested.number_or("partial_rotary_factor", factor);
    rope.scaling = nested.values();
  }
  rope.base = config.number_or("rope_theta", rope.base);
  factor = config.number_or("partial_rotary_factor", factor);
  if (!(factor > 0 && factor <= 1)) {
    throw InvalidInput(config.where(), "partial_rotary_factor is " +
                                           std::to_string(factor) +
                                           ", expected more than 0, at most 1");
  }
  rope.dims = static_cast<int>(head_dim * factor);
  if (const Json* scaling = config.find("rope_scaling"))
    rope.scaling = *scaling;
  rope.max_positions = config.size_or("max_position_embeddings", 0);
  rope.interleaved = config.flag_or("rope_traditional", false);
  rope.where = config.where() + " rope_scaling";
  return rope;
}

int head_dim(const Config& config) {
  if (config.has("head_dim")) return config.size("head_dim");
  const int hidden = config.size("hidden_size");
  const int n_heads = config.size("num_attention_heads");
  if (hidden % n_heads != 0) {
    throw InvalidInput(config.where(),
                       "hidden_size " + std::to_string(hidden) +
                           " is no multiple of num_attention_heads " +
                           std::to_string(n_heads));
  }
  return hidden / n_heads;
}

}  // namespace skua
