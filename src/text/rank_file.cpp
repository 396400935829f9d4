#include "text/rank_file.h"

#include <algorithm>
#include <charconv>

#include "base/base64.h"
#include "base/quote.h"
#include "skua/error.h"
#include "text/bpe.h"

namespace skua {
namespace {

// Ranks may have holes, but the table must not outgrow the file by much.
constexpr std::size_t kMaxHoles = 1 << 16;

// Scores are floats, which count so far without gaps.
constexpr std::size_t kMaxTokens = 1 << 24;

void read_line(std::string_view line, RankedTokens& ranked) {
  const std::size_t space = line.find(' ');
  const std::string_view number =
      space == line.npos ? "" : line.substr(space + 1);
  std::size_t rank = 0;
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), rank);
  // Whisper's file has an empty token.
  const std::string_view code = line.substr(0, space);
  const auto token = code == "=" ? std::string() : decode_base64(code);
  if (!token || (token->empty() && code != "=") || error != std::errc() ||
      end != number.data() + number.size())
    throw InvalidInput(ranked.where, "has the line " + quote(line) +
                                         ", expected base64 and a number");
  if (rank >= std::min(ranked.tokens.size() + kMaxHoles, kMaxTokens))
    throw InvalidInput(ranked.where,
                       "has the rank " + std::to_string(rank) + " behind " +
                           std::to_string(ranked.tokens.size()) + " others");
  if (rank >= ranked.tokens.size()) ranked.tokens.resize(rank + 1);
  if (!ranked.tokens[rank].empty())
    throw InvalidInput(ranked.where,
                       "has the rank " + std::to_string(rank) + " twice");
  ranked.tokens[rank] = *token;
}

}  // namespace

RankedTokens read_rank_file(std::string_view text, const std::string& where) {
  RankedTokens ranked;
  ranked.where = where;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) read_line(line, ranked);
  }
  if (ranked.tokens.empty()) throw InvalidInput(where, "has no tokens");
  return ranked;
}

TokenizerParts build_ranked(const RankedTokens& ranked, const PreKind& pre,
                            std::vector<AddedToken> added) {
  const std::string& where = ranked.where;
  const auto first = static_cast<std::size_t>(ranked.first_id);
  std::vector<std::string> spelled;
  spelled.reserve(ranked.tokens.size());
  for (const auto& token : ranked.tokens) spelled.push_back(spell_bytes(token));
  std::vector<std::string_view> pieces(first + spelled.size());
  std::vector<float> scores(pieces.size());
  for (std::size_t rank = 0; rank < spelled.size(); ++rank) {
    if (!spelled[rank].empty()) pieces[first + rank] = spelled[rank];
    scores[first + rank] = -static_cast<float>(rank);
  }
  TokenizerParts parts;
  parts.vocabulary = std::make_shared<const Vocabulary>(pieces, where);
  for (int byte = 0; byte < 256; ++byte)
    if (!parts.vocabulary->find(
            byte_level_char(static_cast<std::uint8_t>(byte))))
      throw InvalidInput(where, "has no token for the byte " +
                                    std::to_string(byte) +
                                    ", expected one for each");
  ScoredBpeOptions options;
  options.byte_fallback = false;
  options.whole_pieces = true;
  parts.model = std::make_shared<ScoredBpe>(parts.vocabulary, std::move(scores),
                                            std::move(options));
  if (pre.nfc) parts.normalizer.add(NormalizeUnicode{UnicodeForm::kNfc});
  for (const auto pattern : pre.patterns)
    parts.pre_tokenizer.add(
        SplitByRegex{std::make_shared<const Regex>(pattern, where)});
  parts.pre_tokenizer.add(ByteLevel{.use_regex = false});
  parts.decoder.add(DecodeByteLevel{});
  for (const AddedToken& token : added)
    if (parts.vocabulary->has(token.id))
      throw InvalidInput(where, "added token " + quote(token.content) +
                                    " has the id " + std::to_string(token.id) +
                                    " of another");
  parts.added = AddedVocabulary(std::move(added), parts.normalizer, where);
  parts.kind = "BPE by rank, byte-level";
  return parts;
}

}  // namespace skua
