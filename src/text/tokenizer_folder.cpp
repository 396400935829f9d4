#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "skua/error.h"
#include "text/rank_file.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_json_parts.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

std::string_view text_of(const MappedFile& file) {
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void surround(TokenizerParts& parts, std::optional<std::int32_t> id,
              bool in_front) {
  if (!id) return;
  TemplatePiece piece;
  piece.ids = {*id};
  piece.tokens = {std::string(parts.vocabulary->piece(*id))};
  if (const AddedToken* token = parts.added.by_id(*id))
    piece.tokens = {token->content};
  parts.post_processor.surround(piece, in_front);
}

// A rank file starts with base64, a protobuf message with its first field.
bool is_rank_file(std::string_view text) {
  return !text.empty() && text[0] > ' ' && text[0] < 0x7f;
}

// Models without a tokenizer_config.json: Llama's kind starts a text with
// bos, T5's ends it with eos.
TokenizerParts sentencepiece(std::string_view bytes, const std::string& where,
                             std::vector<AddedToken> added) {
  const SentencePieceSpec spec = read_sentencepiece(bytes, where);
  TokenizerParts parts = build_sentencepiece(spec, std::move(added));
  if (spec.model == SentencePieceSpec::Model::kUnigram)
    surround(parts, parts.special.eos, false);
  else if (spec.model == SentencePieceSpec::Model::kBpe)
    surround(parts, parts.special.bos, true);
  return parts;
}

TokenizerParts ranked(std::string_view text, const fs::path& path,
                      std::vector<AddedToken> added) {
  const RankedTokens tokens = read_rank_file(text, path.string());
  const std::string name = path.stem().string();
  auto kind = find_rank_kind(name, tokens.tokens.size());
  if (!kind)
    throw Unsupported(path.string(),
                      "a rank file of an unknown name, expected qwen, "
                      "llama3, o200k_base, cl100k_base, p50k_base, "
                      "r50k_base, gpt2 or multilingual");
  if (added.empty()) added = kind->special;
  TokenizerParts parts = build_ranked(tokens, kind->pre, std::move(added));
  const auto id_of = [&](const std::string& name) {
    const AddedToken* token = parts.added.find(name);
    return token ? std::optional(token->id) : std::nullopt;
  };
  parts.special.bos = id_of(kind->bos);
  parts.special.eos = id_of(kind->eos);
  surround(parts, parts.special.bos, true);
  return parts;
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The file that is the tokenizer, the better kind first; empty: none.
fs::path find_file(const fs::path& folder) {
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "spiece.model", "tiktoken.model"})
    if (fs::exists(folder / name)) return folder / name;
  const std::vector<fs::path> paths = files_of(folder);
  for (const char* end : {".tiktoken", "tekken.json"})
    for (const fs::path& path : paths)
      if (path.filename().string().ends_with(end)) return path;
  for (const fs::path& path : paths)
    if (path.filename().string().starts_with("tokenizer.model.v")) return path;
  return {};
}

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer_file(const fs::path& path) {
  const fs::path folder = path.parent_path();
  const std::string name = path.filename().string();
  const MappedFile file(path);
  const std::string_view text = text_of(file);
  TokenizerParts parts;
  if (name.ends_with("tekken.json")) {
    parts = parse_tekken(text, path.string());
    surround(parts, parts.special.bos, true);
  } else if (name.ends_with(".json")) {
    parts = read_tokenizer_json(text, path.string());
  } else {
    std::vector<AddedToken> added = read_config_tokens(folder);
    parts = is_rank_file(text)
                ? ranked(text, path, std::move(added))
                : sentencepiece(text, path.string(), std::move(added));
  }
  read_tokenizer_config(folder, !name.ends_with(".json"), parts);
  return finish_tokenizer(std::move(parts));
}

std::shared_ptr<const Tokenizer> load_tokenizer(const fs::path& folder) {
  const fs::path file = find_file(folder);
  if (file.empty())
    throw NotFound(folder.string(),
                   "has no tokenizer.json, tokenizer.model, *.tiktoken or "
                   "tekken.json");
  return load_tokenizer_file(file);
}

bool has_tokenizer(const fs::path& folder) {
  return !find_file(folder).empty();
}

}  // namespace skua
