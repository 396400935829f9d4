#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skua {

/** Reads the fields of one protobuf message from front to back. All throw
 *  InvalidInput, naming `where` and the byte, where the message is broken.
 *  Source: protobuf.dev, Encoding. */
class ProtoReader {
 public:
  ProtoReader(std::string_view bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  /** Goes to the next field, past what was not read of this one; false at the
   *  end. */
  bool next();
  /** Number of the field. */
  std::uint32_t field() const { return field_; }

  /** The value of this field; throws InvalidInput where it is of another
   *  kind. */
  std::string_view bytes() const;
  float number() const;
  std::uint64_t integer() const;
  bool boolean() const { return integer() != 0; }
  /** An integer of 32 bits that may be negative. */
  std::int32_t signed_integer() const {
    return static_cast<std::int32_t>(integer());
  }

  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::uint64_t varint();
  std::string_view take(std::uint64_t n);

  std::string_view bytes_;
  std::string where_;
  std::size_t at_ = 0;
  std::uint32_t field_ = 0, wire_ = 0;
  std::uint64_t integer_ = 0;
  std::string_view value_;
};

}  // namespace skua
