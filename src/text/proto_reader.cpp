#include "text/proto_reader.h"

#include <bit>

#include "skua/error.h"

namespace skua {
namespace {

constexpr std::uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

}  // namespace

void ProtoReader::fail(const std::string& what) const {
  throw InvalidInput(where_, what + " at byte " + std::to_string(at_) + " of " +
                                 std::to_string(bytes_.size()));
}

std::uint64_t ProtoReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ >= bytes_.size()) fail("ends inside a number");
    const auto byte = static_cast<std::uint8_t>(bytes_[at_++]);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("has a number of more than 64 bits");
}

std::string_view ProtoReader::take(std::uint64_t n) {
  if (n > bytes_.size() - at_)
    fail("has a field of " + std::to_string(n) + " bytes past its end");
  const std::string_view value = bytes_.substr(at_, n);
  at_ += n;
  return value;
}

bool ProtoReader::next() {
  if (at_ >= bytes_.size()) return false;
  const std::uint64_t tag = varint();
  if (tag >> 3 == 0 || tag >> 32 != 0) fail("has a field without a number");
  field_ = static_cast<std::uint32_t>(tag >> 3);
  wire_ = static_cast<std::uint32_t>(tag & 7);
  if (wire_ == kVarint)
    integer_ = varint();
  else if (wire_ == kBytes)
    value_ = take(varint());
  else if (wire_ == kFixed32)
    value_ = take(4);
  else if (wire_ == kFixed64)
    value_ = take(8);
  else
    fail("has a field of the unknown kind " + std::to_string(wire_));
  return true;
}

std::string_view ProtoReader::bytes() const {
  if (wire_ != kBytes)
    fail("field " + std::to_string(field_) + " is no text or message");
  return value_;
}

float ProtoReader::number() const {
  if (wire_ != kFixed32)
    fail("field " + std::to_string(field_) + " is no number of 32 bits");
  std::uint32_t bits = 0;
  for (std::size_t i = 4; i-- > 0;)
    bits = bits << 8 | static_cast<std::uint8_t>(value_[i]);
  return std::bit_cast<float>(bits);
}

std::uint64_t ProtoReader::integer() const {
  if (wire_ != kVarint)
    fail("field " + std::to_string(field_) + " is no integer");
  return integer_;
}

}  // namespace skua
