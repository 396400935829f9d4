#pragma once

#include <string>

#include "base/json.h"
#include "nn/rope.h"

namespace skua {

/** A checkpoint's config.json (or what a GGUF file says in its place), read
 *  with checks. null counts as absent; each getter throws InvalidInput that
 *  names file and field where a value is missing or of another kind. */
class Config {
 public:
  /** where  the file, for errors */
  Config(Json values, std::string where);

  bool has(const std::string& key) const { return find(key) != nullptr; }
  /** The value, or null where absent; valid as long as the Config. */
  const Json* find(const std::string& key) const;

  /** Counts and sizes: integers from 1 to 2^30. */
  int size(const std::string& key) const;
  int size_or(const std::string& key, int fallback) const;
  double number(const std::string& key) const;
  double number_or(const std::string& key, double fallback) const;
  bool flag_or(const std::string& key, bool fallback) const;
  std::string text(const std::string& key) const;
  std::string text_or(const std::string& key,
                      const std::string& fallback) const;
  /** The object at `key`. */
  Config section(const std::string& key) const;

  const Json& values() const { return values_; }
  const std::string& where() const { return where_; }

  /** The config with a value changed. */
  Config with(const std::string& key, Json value) const;

 private:
  Json values_;
  std::string where_;
};

/** rope_theta, rope_scaling and partial_rotary_factor, also where they are
 *  nested in rope_parameters, for heads of `head_dim` dimensions: the factor
 *  says how many of them, the first, are rotated.
 *  Throws InvalidInput for a factor that is not from 0 to 1. */
RopeConfig rope_config(const Config& config, int head_dim, double default_base,
                       double default_factor = 1);

/** hidden_size / num_attention_heads unless there is a head_dim.
 *  Throws InvalidInput where the division leaves a rest. */
int head_dim(const Config& config);

}  // namespace skua
