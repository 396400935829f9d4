#include <algorithm>

#include "base/base64.h"
#include "base/quote.h"
#include "skua/error.h"
#include "text/json_field.h"
#include "text/rank_file.h"

namespace skua {
namespace {

constexpr std::int64_t kMaxTokens = 1 << 24;

// Files of the first version do not list them.
const std::vector<std::string>& first_special() {
  static const std::vector<std::string> names = {"<unk>",
                                                 "<s>",
                                                 "</s>",
                                                 "[INST]",
                                                 "[/INST]",
                                                 "[AVAILABLE_TOOLS]",
                                                 "[/AVAILABLE_TOOLS]",
                                                 "[TOOL_RESULTS]",
                                                 "[/TOOL_RESULTS]",
                                                 "[TOOL_CALLS]",
                                                 "[IMG]",
                                                 "<pad>",
                                                 "[IMG_BREAK]",
                                                 "[IMG_END]",
                                                 "[PREFIX]",
                                                 "[MIDDLE]",
                                                 "[SUFFIX]",
                                                 "[SYSTEM_PROMPT]",
                                                 "[/SYSTEM_PROMPT]",
                                                 "[TOOL_CONTENT]"};
  return names;
}

std::vector<AddedToken> read_special(const JsonField& root,
                                     std::int64_t n_special) {
  std::vector<std::string> names(static_cast<std::size_t>(n_special));
  for (std::size_t i = 0; i < names.size(); ++i)
    names[i] = "<SPECIAL_" + std::to_string(i) + ">";
  const auto list = root.find("special_tokens");
  if (!list)
    for (std::size_t i = 0; i < std::min(names.size(), first_special().size());
         ++i)
      names[i] = first_special()[i];
  if (list)
    for (const auto element : list->array()) {
      const JsonField item = list->child(element, "token");
      names[static_cast<std::size_t>(item.at("rank").integer(n_special))] =
          item.at("token_str").string();
    }
  std::vector<AddedToken> tokens;
  for (std::size_t i = 0; i < names.size(); ++i) {
    AddedToken token;
    token.id = static_cast<std::int32_t>(i);
    token.content = names[i];
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void read_tokens(const JsonField& vocab, std::int64_t n_tokens,
                 RankedTokens& ranked) {
  ranked.tokens.resize(
      std::min(static_cast<std::size_t>(n_tokens), vocab.array().size()));
  std::size_t i = 0;
  for (const auto element : vocab.array()) {
    // The file has more than the model uses.
    if (i == ranked.tokens.size()) break;
    const JsonField item = vocab.child(element, std::to_string(i));
    const JsonField bytes = item.at("token_bytes");
    auto token = decode_base64(bytes.string());
    if (!token || token->empty()) bytes.fail("is not base64");
    const auto rank = static_cast<std::size_t>(item.at("rank").integer(
        static_cast<std::int64_t>(ranked.tokens.size())));
    if (!ranked.tokens[rank].empty())
      item.fail("has the rank " + std::to_string(rank) + " of another");
    ranked.tokens[rank] = std::move(*token);
    ++i;
  }
}

}  // namespace

TokenizerParts parse_tekken(std::string_view text, const std::string& where) {
  simdjson::dom::parser parser;
  const JsonField root = parse_big_json(parser, text, where);
  const JsonField config = root.at("config");
  const std::int64_t n_special =
      config.at("default_num_special_tokens").integer(kMaxTokens / 256);
  const std::int64_t n_all =
      config.at("default_vocab_size").integer(kMaxTokens);
  if (n_all <= n_special)
    config.at("default_vocab_size").fail("leaves no room for tokens");
  RankedTokens ranked;
  ranked.where = where;
  ranked.first_id = static_cast<std::int32_t>(n_special);
  read_tokens(root.at("vocab"), n_all - n_special, ranked);
  PreKind pre;
  pre.patterns = {config.at("pattern").string()};
  TokenizerParts parts =
      build_ranked(ranked, pre, read_special(root, n_special));
  parts.kind = "BPE by rank, byte-level (tekken)";
  const auto id_of = [&](std::string_view name) -> std::optional<std::int32_t> {
    const AddedToken* token = parts.added.find(name);
    return token ? std::optional(token->id) : std::nullopt;
  };
  parts.special.bos = id_of("<s>");
  parts.special.eos = id_of("</s>");
  parts.special.unk = id_of("<unk>");
  parts.special.pad = id_of("<pad>");
  return parts;
}

}  // namespace skua
