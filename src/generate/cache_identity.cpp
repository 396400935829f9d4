#include "generate/cache_identity.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/safetensors.h"

namespace skua {
namespace {

/** Of 64 bits. */
class Fnv1a {
 public:
  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    add_byte(0xff);  // in no UTF-8 text: texts do not run together
  }
  std::string text() const {
    char hex[17];
    std::snprintf(hex, sizeof hex, "%016llx",
                  static_cast<unsigned long long>(state_));
    return hex;
  }

 private:
  void add_byte(unsigned char byte) {
    state_ = (state_ ^ byte) * 0x100000001b3;
  }
  std::uint64_t state_ = 0xcbf29ce484222325;
};

std::string tokenizer_of(const LoadedModel& loaded) {
  if (!loaded.tokenizer) return "none";
  const Tokenizer& tokenizer = *loaded.tokenizer;
  Fnv1a digest;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id)
    digest.add(tokenizer.piece(id));
  return tokenizer.kind() + " of " + std::to_string(tokenizer.size()) + " " +
         digest.text();
}

// 64 bytes of every 1,024th part: who trains or merges weights changes them in
// more places than lie between two samples.
void add_samples(Fnv1a& digest, const std::filesystem::path& path) {
  constexpr std::size_t kSamples = 1024, kBytes = 64;
  const MappedFile file(path);
  const std::string_view all(reinterpret_cast<const char*>(file.bytes().data()),
                             file.bytes().size());
  const std::size_t stride = std::max(all.size() / kSamples, kBytes);
  digest.add(std::to_string(all.size()));
  for (std::size_t at = 0; at < all.size(); at += stride)
    digest.add(all.substr(at, kBytes));
}

std::vector<std::filesystem::path> weight_files(const LoadedModel& loaded) {
  if (!std::filesystem::is_directory(loaded.path)) return {loaded.path};
  std::vector<std::filesystem::path> paths;
  for (const SafetensorsFile& file : open_checkpoint(loaded.path))
    paths.push_back(file.path());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

std::string digest_of(std::string_view text) {
  Fnv1a digest;
  digest.add(text);
  return digest.text();
}

CacheIdentity identity_of(const LoadedModel& loaded) {
  Fnv1a digest;
  digest.add(dump_json(loaded.config.values()));
  for (const auto& path : weight_files(loaded)) add_samples(digest, path);
  return {loaded.path.string(),
          loaded.config.text("model_type") + " " + digest.text(),
          tokenizer_of(loaded)};
}

}  // namespace skua
