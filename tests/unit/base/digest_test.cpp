#include "base/digest.h"

#include <gtest/gtest.h>

namespace skua {
namespace {

// Source: FIPS 180-2, appendices A and B.
TEST(DigestTest, IsThatOfTheStandard) {
  Digest sha1(Digest::Kind::kSha1);
  sha1.add("abc");
  EXPECT_EQ(sha1.hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
  Digest sha256;
  sha256.add("abcdbcdecdefdefgefghfghighij");
  sha256.add("hijkijkljklmklmnlmnomnopnopq");
  EXPECT_EQ(sha256.hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace
}  // namespace skua
