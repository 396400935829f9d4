#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "text/utf8.h"

namespace skua {
namespace {

using Texts = std::vector<std::string>;

Texts run(PreTokenizer::Step first, PreTokenizer::Step second,
          const std::string& text) {
  PreTokenizer pre_tokenizer;
  pre_tokenizer.add(std::move(first));
  pre_tokenizer.add(std::move(second));
  Document document;
  document.text = AlignedText(text, false);
  document.pieces = {{0, static_cast<std::uint32_t>(text.size()), -1, true}};
  pre_tokenizer.apply(document);
  Texts texts;
  for (const TextPiece& piece : document.pieces)
    texts.emplace_back(document.view(piece));
  return texts;
}

// Expected values from the PyPI package tokenizers 0.23.3.
TEST(PreTokenizer, MetaspacePrependsByItsScheme) {
  const auto metaspace = [](PrependScheme scheme) {
    return Metaspace{"\u2581", scheme};
  };
  const SplitByRegex bar{
      std::make_shared<const Regex>(Regex::literal("|", "test"))};
  const SplitByChar spaces{is_white_space, SplitBehavior::kRemoved};
  EXPECT_EQ(run(bar, metaspace(PrependScheme::kFirst), "a b|c d"),
            (Texts{"\u2581a", "\u2581b", "|", "c", "\u2581d"}));
  EXPECT_EQ(run(bar, metaspace(PrependScheme::kNever), "a b|c d"),
            (Texts{"a", "\u2581b", "|", "c", "\u2581d"}));
  EXPECT_EQ(run(bar, metaspace(PrependScheme::kAlways), "a b|c d"),
            (Texts{"\u2581a", "\u2581b", "\u2581|", "\u2581c", "\u2581d"}));
  EXPECT_EQ(run(spaces, metaspace(PrependScheme::kFirst), " a b"),
            (Texts{"a", "b"}));
}

}  // namespace
}  // namespace skua
