#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/gguf.h"

namespace skua {

/** The vocabulary of a GGUF file as it stands there, checked. The file must
 *  outlive it. */
class GgufVocabulary {
 public:
  /** Values of tokenizer.ggml.token_type. */
  enum Type : std::int64_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kByte = 6
  };

  explicit GgufVocabulary(const GgufFile& file) : file_(file) {}

  static std::string key(const char* name) {
    return std::string("tokenizer.ggml.") + name;
  }
  /** The file and the key, for messages. */
  std::string where(const char* name) const;

  /** Reads the tokens and their types. Throws InvalidInput where they are
   *  missing or of different numbers. */
  void read_tokens();
  /** Without data where a token is empty, as converters pad vocabularies. */
  const std::vector<std::string_view>& tokens() const { return tokens_; }
  std::size_t size() const { return tokens_.size(); }
  /** As Type; empty where the file has none. */
  const std::vector<std::int64_t>& types() const { return types_; }
  bool is_type(std::size_t i, std::int64_t type) const {
    return !types_.empty() && types_[i] == type;
  }

  /** One for each token. Throws InvalidInput for another number of them, or
   *  one that is no number. */
  std::vector<float> scores() const;
  /** The id under a key; absent without it. Throws InvalidInput where there
   *  is no such token. */
  std::optional<std::int32_t> special_id(const char* name) const;
  /** Whether a special token is put around texts: what the file says, else
   *  `fallback` where there is the token. Throws InvalidInput where the file
   *  wants one that is not there. */
  bool wants(const char* name, bool fallback,
             std::optional<std::int32_t> id) const;

 private:
  void check_length(const char* name, std::size_t n) const;

  const GgufFile& file_;
  std::vector<std::string_view> tokens_;
  std::vector<std::int64_t> types_;
};

}  // namespace skua
