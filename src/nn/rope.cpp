#include "nn/rope.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "skua/error.h"

namespace skua {
namespace {

double number(const RopeConfig& config, const char* key) {
  const auto found = config.scaling.find(key);
  if (found == config.scaling.end() || !found->is_number()) {
    throw InvalidInput(config.where,
                       std::string(key) + " is missing or no number");
  }
  return found->get<double>();
}

double number_or(const RopeConfig& config, const char* key, double fallback) {
  const auto found = config.scaling.find(key);
  if (found == config.scaling.end() || found->is_null()) return fallback;
  return number(config, key);
}

double positive(const RopeConfig& config, const char* key) {
  const double value = number(config, key);
  if (!(value > 0) || !std::isfinite(value)) {
    throw InvalidInput(config.where, std::string(key) + " is " +
                                         std::to_string(value) +
                                         ", expected more than 0");
  }
  return value;
}

std::vector<double> per_frequency(const RopeConfig& config, const char* key) {
  const auto found = config.scaling.find(key);
  const auto n = static_cast<std::size_t>(config.dims / 2);
  if (found != config.scaling.end() && found->is_number())
    return std::vector<double>(n, positive(config, key));
  if (found == config.scaling.end() || !found->is_array() ||
      found->size() != n || !std::ranges::all_of(*found, [](const Json& v) {
        return v.is_number() && v.get<double>() > 0;
      })) {
    throw InvalidInput(config.where, std::string(key) + " is expected to be " +
                                         std::to_string(n) +
                                         " positive numbers");
  }
  return found->get<std::vector<double>>();
}

std::string scaling_type(const RopeConfig& config) {
  if (config.scaling.is_null()) return "default";
  if (!config.scaling.is_object())
    throw InvalidInput(config.where, "is no object");
  for (const char* key : {"type", "rope_type"}) {
    const auto found = config.scaling.find(key);
    if (found == config.scaling.end() || found->is_null()) continue;
    if (!found->is_string())
      throw InvalidInput(config.where, std::string(key) + " is no string");
    return found->get<std::string>();
  }
  return "default";
}

std::vector<double> plain_frequencies(int dims, double base) {
  std::vector<double> frequencies;
  for (int i = 0; i < dims; i += 2)
    frequencies.push_back(std::pow(base, -static_cast<double>(i) / dims));
  return frequencies;
}

void scale_llama3(const RopeConfig& config, std::vector<double>& frequencies) {
  const double factor = positive(config, "factor");
  const double low = number_or(config, "low_freq_factor", 1);
  const double high = number_or(config, "high_freq_factor", 4);
  const double original =
      number_or(config, "original_max_position_embeddings", 8192);
  for (double& f : frequencies) {
    const double wavelength = 2 * std::numbers::pi / f;
    if (wavelength > original / low) {
      f /= factor;
    } else if (wavelength > original / high) {
      const double smooth = (original / wavelength - low) / (high - low);
      f *= (1 - smooth) / factor + smooth;
    }
  }
}

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// Scales the frequencies and returns the magnitude.
double scale_yarn(const RopeConfig& config, std::vector<double>& frequencies) {
  const double factor = positive(config, "factor");
  const double original =
      number_or(config, "original_max_position_embeddings", 4096);
  const int dims = config.dims;
  const auto turning_dim = [&](double n_turns) {
    return dims * std::log(original / (n_turns * 2 * std::numbers::pi)) /
           (2 * std::log(config.base));
  };
  const double low = std::max(
      std::floor(turning_dim(number_or(config, "beta_fast", 32))), 0.0);
  double high =
      std::min(std::ceil(turning_dim(number_or(config, "beta_slow", 1))),
               static_cast<double>(dims - 1));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp =
        std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] *= ramp / factor + (1 - ramp);
  }
  return yarn_magnitude(factor, number_or(config, "mscale", 1)) /
         yarn_magnitude(factor, number_or(config, "mscale_all_dim", 0));
}

// Long factors at every length, as mlx-lm does.
double scale_longrope(const RopeConfig& config,
                      std::vector<double>& frequencies) {
  const std::vector<double> factors = per_frequency(config, "long_factor");
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] /= factors[i];
  const double original = positive(config, "original_max_position_embeddings");
  const double factor = config.max_positions / original;
  return factor <= 1 ? 1.0
                     : std::sqrt(1 + std::log(factor) / std::log(original));
}

}  // namespace

Rope::Rope(RopeConfig config)
    : config_(std::move(config)), type_(scaling_type(config_)) {
  if (config_.dims < 2 || config_.dims % 2 != 0) {
    throw InvalidInput(config_.where, "head_dim " +
                                          std::to_string(config_.dims) +
                                          " cannot be rotated, expected an "
                                          "even number");
  }
  if (!(config_.base > 0)) {
    throw InvalidInput(config_.where, "rope_theta is " +
                                          std::to_string(config_.base) +
                                          ", expected more than 0");
  }
  frequencies_ = plain_frequencies(config_.dims, config_.base);
  if (type_ == "linear") {
    const double factor = positive(config_, "factor");
    for (double& f : frequencies_) f /= factor;
  } else if (type_ == "llama3") {
    scale_llama3(config_, frequencies_);
  } else if (type_ == "yarn") {
    magnitude_ = scale_yarn(config_, frequencies_);
  } else if (type_ == "longrope") {
    magnitude_ = scale_longrope(config_, frequencies_);
  } else if (type_ == "factors") {
    const std::vector<double> factors = per_frequency(config_, "factors");
    for (std::size_t i = 0; i < frequencies_.size(); ++i)
      frequencies_[i] /= factors[i];
  } else if (type_ == "dynamic") {
    positive(config_, "factor");
    if (config_.max_positions <= 0 || config_.dims <= 2) {
      throw InvalidInput(config_.where,
                         "dynamic scaling needs max_position_embeddings");
    }
  } else if (type_ != "default") {
    throw Unsupported(config_.where,
                      "type is " + type_ +
                          ", expected default, linear, dynamic, llama3, yarn "
                          "or longrope");
  }
}

std::vector<double> Rope::frequencies(int length) const {
  if (type_ != "dynamic") return frequencies_;
  const double factor = number(config_, "factor");
  const double context = config_.max_positions;
  const double reach = std::max<double>(length, context);
  const double dims = config_.dims;
  const double base =
      config_.base *
      std::pow(factor * reach / context - (factor - 1), dims / (dims - 2));
  return plain_frequencies(config_.dims, base);
}

RotaryAngles Rope::angles(const Batch& batch) const {
  const int half = config_.dims / 2;
  std::vector<float> cos, sin;
  cos.reserve(static_cast<std::size_t>(batch.n_rows()) * half);
  sin.reserve(cos.capacity());
  for (const Segment& s : batch.segments) {
    const std::vector<double> f = frequencies(s.position + s.n_rows);
    for (int row = 0; row < s.n_rows; ++row) {
      const double position = s.position + row;
      for (const double frequency : f) {
        const double angle = position * frequency;
        cos.push_back(static_cast<float>(magnitude_ * std::cos(angle)));
        sin.push_back(static_cast<float>(magnitude_ * std::sin(angle)));
      }
    }
  }
  const mx::Shape shape = {batch.n_rows(), half};
  return {mx::array(cos.begin(), shape), mx::array(sin.begin(), shape),
          config_.interleaved};
}

}  // namespace skua
