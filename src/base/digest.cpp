#include "base/digest.h"

#include <openssl/evp.h>

#include <array>

#include "skua/error.h"

namespace skua {
namespace {

struct Free {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

void need(bool done) {
  if (!done) throw Error("digest", "OpenSSL offers no digest");
}

}  // namespace

struct Digest::Context {
  std::unique_ptr<EVP_MD_CTX, Free> openssl{EVP_MD_CTX_new()};
};

Digest::Digest(Kind kind) : context_(std::make_unique<Context>()) {
  EVP_MD_CTX* openssl = context_->openssl.get();
  const EVP_MD* type = kind == Kind::kSha1 ? EVP_sha1() : EVP_sha256();
  need(openssl && EVP_DigestInit_ex(openssl, type, nullptr) == 1);
}

Digest::~Digest() = default;

void Digest::add(std::span<const std::byte> bytes) {
  need(EVP_DigestUpdate(context_->openssl.get(), bytes.data(), bytes.size()) ==
       1);
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned n_bytes = 0;
  need(EVP_DigestFinal_ex(context_->openssl.get(), bytes.data(), &n_bytes) ==
       1);
  std::string text;
  for (unsigned i = 0; i < n_bytes; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

}  // namespace skua
