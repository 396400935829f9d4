#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support.h"
#include "text/utf8.h"

namespace skua {
namespace {

using Ids = std::vector<std::int32_t>;

// Random ids, and runs of ids of single bytes; every push must be whole
// UTF-8, and all pushes together what decode gives.
void check_streams(const std::shared_ptr<const Tokenizer>& tokenizer) {
  std::mt19937 random(7);
  std::uniform_int_distribution<std::int32_t> any(0, tokenizer->size() - 1);
  std::vector<std::int32_t> bytes;
  for (std::int32_t id = 0; id < tokenizer->size() && bytes.size() < 400; ++id)
    if (tokenizer->token_bytes(id).size() == 1) bytes.push_back(id);
  for (int round = 0; round < 400; ++round) {
    Ids ids;
    for (int i = 0; i < 24; ++i)
      ids.push_back(
          round % 2
              ? any(random)
              : bytes[static_cast<std::size_t>(any(random)) % bytes.size()]);
    const bool skip = round % 3 == 0;
    Detokenizer detokenizer(tokenizer, skip);
    std::string text;
    for (const auto id : ids) {
      const std::string part = detokenizer.push(id);
      EXPECT_EQ(find_invalid_utf8(part), std::string::npos);
      text += part;
    }
    text += detokenizer.finish();
    EXPECT_EQ(find_invalid_utf8(text), std::string::npos);
    EXPECT_EQ(text, tokenizer->decode(ids, skip));
  }
}

TEST(Detokenizer, StreamsOfByteFallbackAreWholeUtf8) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K/hf");
  check_streams(load_tokenizer(folder));
}

TEST(Detokenizer, StreamsOfByteLevelAreWholeUtf8) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers/roberta-base");
  check_streams(load_tokenizer(folder));
}

TEST(Detokenizer, HoldsBackUntilACharacterIsWhole) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers/roberta-base");
  const auto tokenizer = load_tokenizer(folder);
  // The four bytes of U+1F600 as byte-level characters.
  const Ids ids = {*tokenizer->id_of("\u00f0"), *tokenizer->id_of("\u0141"),
                   *tokenizer->id_of("\u013a"), *tokenizer->id_of("\u0122")};
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push(ids[0]), "");
  EXPECT_EQ(detokenizer.push(ids[1]), "");
  EXPECT_EQ(detokenizer.push(ids[2]), "");
  const std::string last = detokenizer.push(ids[3]);
  EXPECT_EQ(last, tokenizer->decode(ids));
  EXPECT_EQ(utf8_at(last, 0).n, 4u);
  EXPECT_EQ(detokenizer.finish(), "");
  EXPECT_EQ(detokenizer.push(ids[0]), "");
  EXPECT_EQ(detokenizer.finish(), "\ufffd");
}

TEST(Detokenizer, LeadingSpaceIsDroppedOnceOnly) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K/hf");
  const auto tokenizer = load_tokenizer(folder);
  const std::string text = "  two spaces,  then more ";
  const Ids ids = tokenizer->encode(text, {.add_special = false});
  Detokenizer detokenizer(tokenizer);
  std::string streamed;
  for (const auto id : ids) streamed += detokenizer.push(id);
  EXPECT_EQ(streamed + detokenizer.finish(), text);
}

}  // namespace
}  // namespace skua
