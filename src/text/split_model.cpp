#include "text/split_model.h"

#include <algorithm>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

}  // namespace

SplitModel::SplitModel(std::shared_ptr<const Vocabulary> vocabulary,
                       SplitModelOptions options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      byte_tokens_(find_byte_tokens(*vocabulary_)),
      fixed_(find_pieces(*vocabulary_, options_.fixed)) {}

std::size_t SplitModel::part_end(std::string_view piece,
                                 std::size_t begin) const {
  const std::size_t n_char = utf8_at(piece, begin).n;
  if (options_.words)
    return std::min(piece.size(), piece.find(kSpaceMark, begin + n_char));
  return begin + std::max(n_char, fixed_.longest(piece, begin).n_bytes);
}

void SplitModel::encode(std::string_view piece,
                        std::vector<Token>& tokens) const {
  bool behind_unk = false;
  for (std::size_t begin = 0; begin < piece.size();) {
    const std::size_t end = part_end(piece, begin);
    const std::string_view part = piece.substr(begin, end - begin);
    Token token{-1, static_cast<std::uint32_t>(begin),
                static_cast<std::uint32_t>(end)};
    begin = end;
    const auto known = vocabulary_->find(part);
    const bool is_unk = !known || known == options_.unk ||
                        (!options_.unused.empty() &&
                         options_.unused[static_cast<std::size_t>(*known)]);
    const auto byte_token = [&](char c) {
      return byte_tokens_[static_cast<std::uint8_t>(c)];
    };
    const bool spelled =
        is_unk && options_.byte_fallback &&
        std::ranges::all_of(part, [&](char c) { return byte_token(c) >= 0; });
    if (spelled) {
      for (const char c : part) {
        token.id = byte_token(c);
        tokens.push_back(token);
      }
    } else if (is_unk && behind_unk) {
      tokens.back().end = token.end;
    } else {
      if (is_unk && !options_.unk)
        throw InvalidInput("tokenizer",
                           "the text has a part without a token, and the "
                           "vocabulary has no unknown token");
      token.id = is_unk ? *options_.unk : *known;
      tokens.push_back(token);
    }
    behind_unk = is_unk && !spelled;
  }
}

}  // namespace skua
