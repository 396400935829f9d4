#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace skua {

/** A digest of bytes as they come, by OpenSSL. */
class Digest {
 public:
  enum class Kind { kSha1, kSha256 };

  /** Throws Error where OpenSSL lacks it. */
  explicit Digest(Kind kind = Kind::kSha256);
  ~Digest();

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  /** Of all bytes, in lower-case hexadecimal digits; the last call. */
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace skua
